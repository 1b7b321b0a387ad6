package proxy

import (
	"net/http"
	"time"
)

// SetLinger changes all linger times. Call it before there are connections.
func (p *Proxy) SetLinger(d time.Duration) { p.linger = linger{d, d, d} }

// SetTLSRefusals changes the rate of answered TLS refusals. Call it before there are
// connections.
func (p *Proxy) SetTLSRefusals(perSecond float64) { p.tlsRefusals = perSecond }

// ClientOf returns the client of r for the limits on one client.
func ClientOf(trusted Networks, r *http.Request, ipv6Prefix int) string {
	return clientAt(trusted.clientOf(r), ipv6Prefix).String()
}

// Lingering returns the maximum number of refused connections that get an answer at
// once.
func Lingering() int { return descriptorRoom(maxDescriptors()).lingering }

// MaxDescriptors returns the number of file descriptors that this process may open.
func MaxDescriptors() int { return maxDescriptors() }
