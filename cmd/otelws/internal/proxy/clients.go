package proxy

import (
	"net/netip"
	"sync"
	"time"
)

// unlimited stands for a limit that is never reached.
const unlimited = 1 << 30

// client identifies a client for the limits: an IPv4 address, or an IPv6 network,
// because one subscriber usually has a whole network.
type client = netip.Prefix

func clientAt(a netip.Addr, ipv6Prefix int) client {
	bits := a.BitLen()
	if a.Is6() {
		bits = ipv6Prefix
	}
	p, _ := a.Prefix(bits)
	return p
}

// counts holds the number of connections of each client.
type counts struct {
	mu sync.Mutex
	of map[client]int
}

// enter counts a connection and returns true, unless the client has reached limit. A
// limit of 0 means none. enter counts even then, because Apply may set a limit later.
func (c *counts) enter(who client, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit > 0 && c.of[who] >= limit {
		return false
	}
	if c.of == nil {
		c.of = make(map[client]int)
	}
	c.of[who]++
	return true
}

func (c *counts) leave(who client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[who]--; c.of[who] <= 0 {
		delete(c.of, who)
	}
}

// rates limits the events of each client to a number per second. A burst may be as
// large as the number for one second.
type rates struct {
	mu    sync.Mutex
	next  map[client]time.Time // when the client's events so far would have ended at the allowed rate
	swept time.Time
}

// allow counts an event and returns true, unless the client exceeds perSecond. A
// perSecond of 0 means no limit.
func (r *rates) allow(who client, now time.Time, perSecond float64) bool {
	if perSecond == 0 {
		return true
	}
	one := time.Duration(float64(time.Second) / perSecond)
	most := max(time.Second, one)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	next := r.next[who]
	if next.Before(now) {
		next = now
	}
	if next.Sub(now) > most { // an earlier, stricter limit set it
		next = now.Add(most)
		r.next[who] = next
	}
	if next = next.Add(one); next.Sub(now) > most {
		return false
	}
	r.next[who] = next
	return true
}

// sweep removes the clients that may send a whole burst again. It runs once per
// second, so the map holds the clients of two seconds at most.
func (r *rates) sweep(now time.Time) {
	if r.next != nil && now.Sub(r.swept) < time.Second {
		return
	}
	r.swept = now
	if r.next == nil {
		r.next = make(map[client]time.Time)
	}
	for who, next := range r.next {
		if !next.After(now) {
			delete(r.next, who)
		}
	}
}
