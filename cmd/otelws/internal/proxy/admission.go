package proxy

import (
	"net/http"
	"time"
)

// soon goes with a refusal for which the time is to blame.
var soon = http.Header{"Retry-After": {"1"}}

func tooMany(why refused) *refusal {
	switch why {
	case refusedClientConnections:
		return &refusal{why, http.StatusTooManyRequests, "too many connections of this client", soon}
	case refusedClientRate:
		return &refusal{why, http.StatusTooManyRequests, "too many handshakes of this client", soon}
	case refusedRate:
		return &refusal{why, http.StatusServiceUnavailable, "too many handshakes", soon}
	}
	return &refusal{refusedConnections, http.StatusServiceUnavailable, "too many connections", soon}
}

// admit says why a request goes no further, or has it ask for the one protocol that
// it may switch to, if any. Who is admitted calls leave.
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
	// HTTP/2 has many requests on a connection.
	if p.requests.Add(1) > int64(s.limits.Connections) {
		p.requests.Add(-1)
		return "", nil, tooMany(refusedConnections)
	}
	// The door has counted other clients.
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
