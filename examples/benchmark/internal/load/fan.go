package load

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// fan receives from many connections, with one goroutine for each.
type fan struct {
	all      sync.WaitGroup
	round    atomic.Pointer[round]
	received chan struct{} // signalled once per round, when all have received
	failed   chan error
}

// round is one message that is being sent to all connections.
type round struct {
	bytes   int
	sent    time.Time
	pending atomic.Int64
	times   *recorder
}

func newFan(conns []*Conn) *fan {
	f := &fan{received: make(chan struct{}, 1), failed: make(chan error, 1)}
	for i, c := range conns {
		f.all.Go(func() {
			if err := f.receive(c, i); !errors.Is(err, errClosed) {
				select {
				case f.failed <- err:
				default:
				}
			}
		})
	}
	return f
}

// receive receives until it fails, and returns the reason.
func (f *fan) receive(c *Conn, i int) error {
	for {
		n, err := c.Receive()
		if err != nil {
			return err
		}
		r := f.round.Load()
		if r == nil || n != r.bytes {
			return fmt.Errorf("the server sent %d bytes that nobody expected", n)
		}
		r.times.parts[i%len(r.times.parts)].record(time.Since(r.sent))
		if r.pending.Add(-1) == 0 {
			f.received <- struct{}{}
		}
	}
}

func (f *fan) run(c *Clients, end time.Time, times *recorder) error {
	for {
		r := &round{bytes: c.Bytes, sent: time.Now(), times: times}
		r.pending.Store(int64(len(c.conns)))
		f.round.Store(r)
		if _, err := c.conns[0].Write(c.frame); err != nil {
			return err
		}
		select {
		case <-f.received:
		case err := <-f.failed:
			return err
		}
		if !time.Now().Before(end) {
			return nil
		}
	}
}

// wait waits until every connection has ended.
func (f *fan) wait() { f.all.Wait() }
