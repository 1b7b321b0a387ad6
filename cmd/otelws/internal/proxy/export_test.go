package proxy

import (
	"net/http"
	"time"
)

// SetLinger is called before there are connections.
func (p *Proxy) SetLinger(d time.Duration) { p.linger = linger{d, d} }

// SetCourtesyRate is called before there are connections.
func (p *Proxy) SetCourtesyRate(perSecond float64) { p.courtesyRate = perSecond }

// ClientOf is whom the limits for one client take the client of r for.
func ClientOf(trusted Networks, r *http.Request, ipv6Prefix int) string {
	return clientAt(trusted.clientOf(r), ipv6Prefix).String()
}

// Lingering is how many who are refused are told so at once.
func Lingering() int { return descriptorRoom(maxDescriptors()).lingering }

// MaxDescriptors is how many this process may have open.
func MaxDescriptors() int { return maxDescriptors() }
