package proxy

import (
	"net/netip"
	"sync"
	"time"
)

// unlimited is more than there will be.
const unlimited = 1 << 30

// client is who a limit for one client is for: an IPv4 address, or a network of
// IPv6, since that is what one subscriber has.
type client = netip.Prefix

func clientAt(a netip.Addr, ipv6Prefix int) client {
	bits := a.BitLen()
	if a.Is6() {
		bits = ipv6Prefix
	}
	p, _ := a.Prefix(bits)
	return p
}

// counts are how many connections each client has.
type counts struct {
	mu sync.Mutex
	of map[client]int
}

// enter counts one more, unless there are most already. With 0 there is no limit,
// but there may be one later.
func (c *counts) enter(who client, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && c.of[who] >= most {
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

// rates allow each client a number of events a second, and as many at once.
type rates struct {
	mu    sync.Mutex
	next  map[client]time.Time // when all that a client has had would have been due
	swept time.Time
}

// allow counts one more, unless that is more than perSecond. With 0 there is no limit.
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
	if next.Sub(now) > most { // by a stricter limit of before
		next = now.Add(most)
		r.next[who] = next
	}
	if next = next.Add(one); next.Sub(now) > most {
		return false
	}
	r.next[who] = next
	return true
}

// sweep forgets those who have all that they may have. It comes once a second, so
// that as many are remembered as come in two.
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
