package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Kind is the kind of work of the clients.
type Kind int

const (
	// Echo: each client sends a message and waits for its echo. A message is a round trip.
	Echo Kind = iota
	// FanOut: one client sends a message and waits until all have received it. A message is a
	// received message.
	FanOut
	// Churn: each client connects, gets one message echoed, and closes. A message is one such
	// cycle.
	Churn
	// Idle: clients connect and send nothing.
	Idle
)

// Load describes the load for one measurement.
type Load struct {
	Kind  Kind
	Conns int // open at once
	Bytes int // of a message
}

// Result is the result of one run.
type Result struct {
	Messages int64
	Elapsed  time.Duration
	Latency  *hdrhistogram.Histogram // in microseconds
}

// Counts are the counts of the clients. A server's metrics must agree with them exactly.
type Counts struct {
	Connections int64 // opened, and closed with 1000
	Sent        int64 // messages
	Received    int64 // messages
}

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	c.Connections += d.Connections
	c.Sent += d.Sent
	c.Received += d.Received
}

// Clients are the connections of one load to one server.
type Clients struct {
	Load
	address, path string
	frame         []byte
	conns         []*Conn
	counts        Counts
	fan           *fan
}

const (
	echoPath = "/echo"
	roomPath = "/room"
	// grace is how long after its end a run waits for answers.
	grace = 10 * time.Second
	// atOnce is the number of connections that are opened concurrently.
	atOnce = 64
)

// Open connects the clients of l to a server.
func Open(ctx context.Context, address string, l Load) (*Clients, error) {
	c := &Clients{Load: l, address: address, path: echoPath, frame: Message(l.Bytes)}
	if l.Kind == Churn {
		return c, nil
	}
	if l.Kind == FanOut {
		c.path = roomPath
	}
	if err := c.dial(ctx); err != nil {
		for _, conn := range c.conns {
			if conn != nil {
				conn.Close()
			}
		}
		return nil, err
	}
	c.counts.Connections = int64(l.Conns)
	if l.Kind == FanOut || l.Kind == Idle {
		c.fan = newFan(c.conns)
	}
	return c, nil
}

func (c *Clients) dial(ctx context.Context) error {
	c.conns = make([]*Conn, c.Conns)
	return parallel(min(atOnce, c.Conns), func(worker int) error {
		for i := worker; i < c.Conns; i += atOnce {
			conn, err := Dial(ctx, c.address, c.path, c.Bytes)
			if err != nil {
				return err
			}
			c.conns[i] = conn
		}
		return nil
	})
}

// Counts returns the counts of all runs so far.
func (c *Clients) Counts() Counts { return c.counts }

// Run loads the server for d, with at least one message for each client. It returns when all
// messages have been answered, so that no work remains for the next run.
func (c *Clients) Run(ctx context.Context, d time.Duration) (Result, error) {
	start := time.Now()
	end := start.Add(d)
	for _, conn := range c.conns {
		if err := conn.SetDeadline(end.Add(grace)); err != nil {
			return Result{}, err
		}
	}
	r := newRecorder()
	var err error
	switch c.Kind {
	case Echo:
		err = c.echo(end, r)
	case FanOut:
		err = c.fan.run(c, end, r)
	case Churn:
		err = c.churn(ctx, end, r)
	}
	if err != nil {
		return Result{}, errors.Join(ctx.Err(), err)
	}
	latency := r.total()
	res := Result{Messages: latency.TotalCount(), Elapsed: time.Since(start), Latency: latency}
	switch c.Kind {
	case Echo:
		c.counts.Add(Counts{Sent: res.Messages, Received: res.Messages})
	case FanOut:
		c.counts.Add(Counts{Sent: res.Messages / int64(c.Conns), Received: res.Messages})
	case Churn:
		c.counts.Add(Counts{res.Messages, res.Messages, res.Messages})
	}
	return res, nil
}

func (c *Clients) echo(end time.Time, r *recorder) error {
	return parallel(len(c.conns), func(i int) error {
		return repeat(end, r.part(), func() error { return c.roundTrip(c.conns[i]) })
	})
}

// repeat calls a function until end, at least once, and records the duration of each call.
func repeat(end time.Time, times *part, do func() error) error {
	for sent := time.Now(); ; {
		if err := do(); err != nil {
			return err
		}
		now := time.Now()
		times.record(now.Sub(sent))
		if sent = now; !now.Before(end) {
			return nil
		}
	}
}

func (c *Clients) roundTrip(conn *Conn) error {
	if _, err := conn.Write(c.frame); err != nil {
		return err
	}
	n, err := conn.Receive()
	if err == nil && n != c.Bytes {
		err = fmt.Errorf("the server sent back %d bytes for %d", n, c.Bytes)
	}
	return err
}

func (c *Clients) churn(ctx context.Context, end time.Time, r *recorder) error {
	return parallel(c.Conns, func(int) error {
		return repeat(end, r.part(), func() error { return c.life(ctx) })
	})
}

func (c *Clients) life(ctx context.Context) error {
	conn, err := Dial(ctx, c.address, c.path, c.Bytes)
	if err != nil {
		return err
	}
	if err := errors.Join(c.roundTrip(conn), conn.SayClose()); err != nil {
		conn.Close()
		return err
	}
	return conn.AwaitClose()
}

// Close closes the connections with 1000.
func (c *Clients) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.SayClose())
	}
	if c.fan != nil {
		c.fan.wait()
		for _, conn := range c.conns {
			conn.Close()
		}
		return errors.Join(errs...)
	}
	for _, conn := range c.conns {
		errs = append(errs, conn.AwaitClose())
	}
	return errors.Join(errs...)
}

// parallel calls f n times concurrently, and returns the first error.
func parallel(n int, f func(i int) error) error {
	var all sync.WaitGroup
	var once sync.Once
	var first error
	for i := range n {
		all.Go(func() {
			if err := f(i); err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	all.Wait()
	return first
}
