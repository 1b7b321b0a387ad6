package proxy

import (
	"net/http"
	"time"
)

// retryAfter is the header of refusals that a later attempt may avoid.
var retryAfter = http.Header{"Retry-After": {"1"}}

func tooMany(why refused) *refusal {
	switch why {
	case refusedClientConnections:
		return &refusal{why, http.StatusTooManyRequests, "too many connections of this client", retryAfter}
	case refusedClientRate:
		return &refusal{why, http.StatusTooManyRequests, "too many handshakes of this client", retryAfter}
	case refusedRate:
		return &refusal{why, http.StatusServiceUnavailable, "too many handshakes", retryAfter}
	}
	return &refusal{refusedConnections, http.StatusServiceUnavailable, "too many connections", retryAfter}
}

// admit checks a request against the rules and limits of the proxy. It returns a
// refusal, or the protocol that the request may switch to ("" for plain HTTP) and a
// function that the caller must call when the request has ended.
func (p *Proxy) admit(r *http.Request) (protocol string, leave func(), rf *refusal) {
	if rf := refuse(r, p.target.url.Path); rf != nil {
		return "", nil, rf
	}
	s := p.settings.Load()
	protocol = s.protocols.choose(r.Header)
	ask(r.Header, protocol)
	if protocol != "" {
		if rf := refuseSwitch(r, protocol); rf != nil {
			return "", nil, rf
		}
	}

	who := clientAt(s.trusted.clientOf(r), s.limits.IPv6Prefix)
	if protocol != "" {
		now := time.Now()
		if !p.clientRates.allow(who, now, s.limits.ClientHandshakes) {
			return "", nil, tooMany(refusedClientRate)
		}
		if !p.rate.allow(client{}, now, s.limits.Handshakes) {
			return "", nil, tooMany(refusedRate)
		}
	}
	// Counting connections is not enough: an HTTP/2 connection carries many requests.
	if p.requests.Add(1) > int64(s.limits.Connections) {
		p.requests.Add(-1)
		return "", nil, tooMany(refusedConnections)
	}
	// The listener has counted the direct clients already, but it cannot tell who is
	// behind a trusted proxy.
	relayed := s.trusted.Trusts(r)
	if relayed && !p.counts.enter(who, s.limits.ClientConnections) {
		p.requests.Add(-1)
		return "", nil, tooMany(refusedClientConnections)
	}
	return protocol, func() {
		p.requests.Add(-1)
		if relayed {
			p.counts.leave(who)
		}
	}, nil
}
