package proxy

import (
	"net/http"
	"time"
)

// SetLinger is called before there are connections.
func (p *Proxy) SetLinger(d time.Duration) { p.linger = linger{d, d} }

// ClientOf is whom the limits for one client take the client of r for.
func ClientOf(trusted Networks, r *http.Request, ipv6Prefix int) string {
	return clientAt(trusted.clientOf(r), ipv6Prefix).String()
}

// MaxDescriptors is how many this process may have open.
func MaxDescriptors() int { return maxDescriptors() }
