package proxy

import "time"

// SetLinger is called before there are connections.
func (p *Proxy) SetLinger(d time.Duration) { p.linger = linger{d, d} }
