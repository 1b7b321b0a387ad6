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
	if rf := refuse(r); rf != nil {
		return "", nil, rf
	}
	protocol = p.protocols.choose(r.Header)
	ask(r.Header, protocol)
	if protocol != "" {
		if rf := refuseSwitch(r, protocol); rf != nil {
			return "", nil, rf
		}
	}

	address := p.cfg.Trusted.clientOf(r)
	who := clientAt(address, p.limits.IPv6Prefix)
	if protocol != "" {
		now := time.Now()
		if !p.clientRates.allow(who, now) {
			return "", nil, tooMany(refusedClientRate)
		}
		if !p.rate.allow(client{}, now) {
			return "", nil, tooMany(refusedRate)
		}
	}
	// HTTP/2 has many requests on a connection.
	if p.requests.Add(1) > int64(p.limits.Connections) {
		p.requests.Add(-1)
		return "", nil, tooMany(refusedConnections)
	}
	// The door has counted other clients.
	relayed := p.cfg.Trusted.Trusts(r)
	if relayed && !p.counts.enter(who) {
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
