// Package hoptest starts hops between clients and servers for tests: its own relays,
// and nginx and HAProxy if they are installed.
package hoptest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Relay forwards bytes between clients and a server, and ends connections at its
// limits. The zero value has no limits.
type Relay struct {
	Idle time.Duration // the silence after which it ends a connection
	Life time.Duration // the age at which it ends a connection
	How  How
	// FromServer means that only data from the server ends a silence.
	FromServer bool
}

// How is the way in which a relay ends a connection.
type How int

// The ways to end a connection. Both peers see the same end.
const (
	Closing   How = iota // with a FIN
	Resetting            // with a reset
	Dropping             // silently: the relay forwards nothing any more
	ResetNext            // like Dropping, but the relay resets a side that sends something
)

// Start starts the relay, and returns its address.
func (r Relay) Start(t testing.TB, server string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.relay(c, server, done) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		close(done)
		all.Wait()
	})
	return l.Addr().String()
}

// pair holds both connections of a client through the relay.
type pair struct {
	client, server net.Conn
	mu             sync.Mutex
	last           time.Time
	ended          bool
}

func (r Relay) relay(client net.Conn, address string, done chan struct{}) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	p := &pair{client: client, server: server, last: time.Now()}
	var both sync.WaitGroup
	over := make(chan struct{})
	both.Go(func() { r.copy(p, server, client, !r.FromServer) })
	both.Go(func() { r.copy(p, client, server, true) })
	go func() { both.Wait(); close(over) }()
	r.watch(p, over, done)
	_, _ = client.Close(), server.Close()
	both.Wait()
}

// copy forwards bytes until the connection is dropped. If one side ends, it ends
// both.
func (r Relay) copy(p *pair, to, from net.Conn, counts bool) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		ended := p.ended
		if counts && n > 0 {
			p.last = time.Now()
		}
		p.mu.Unlock()
		switch {
		case ended && n > 0 && r.How == ResetNext:
			reset(from)
			return
		case n > 0 && !ended:
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !ended {
				_, _ = to.Close(), from.Close()
			}
			return
		}
	}
}

// watch ends the connection at its limits. It returns when the connection has ended.
func (r Relay) watch(p *pair, over, done chan struct{}) {
	opened := time.Now()
	for {
		p.mu.Lock()
		left := time.Hour
		if r.Idle > 0 {
			left = min(left, time.Until(p.last.Add(r.Idle)))
		}
		if r.Life > 0 {
			left = min(left, time.Until(opened.Add(r.Life)))
		}
		p.ended = left <= 0
		p.mu.Unlock()
		if left <= 0 {
			break
		}
		select {
		case <-time.After(left):
		case <-over:
			return
		case <-done:
			return
		}
	}
	switch r.How {
	case Closing:
		return
	case Resetting:
		reset(p.client)
		reset(p.server)
		return
	}
	select {
	case <-over:
	case <-done:
	}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
