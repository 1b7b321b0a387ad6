package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
)

const (
	fewConns = 10
	// scrapes is the number of scrapes of each server, in turns.
	scrapes = 20
)

// idle measures the memory of a server's idle connections, and compares the scrapes with those of a
// server with few connections.
func (o *options) idle(ctx context.Context, l namedLoad, of *Contender) (r Round, err error) {
	i := slices.IndexFunc(servers.Variants, func(v servers.Variant) bool { return v.Name == of.Variant })
	few, err := o.startIdle(ctx, servers.Variants[i], of.GOMAXPROCS, fewConns)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, few.close(ctx)) }()
	many, err := o.startIdle(ctx, servers.Variants[i], of.GOMAXPROCS, l.Conns)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, many.close(ctx)) }()

	r.Heap, r.Stack, r.RSS = many.heap, many.stack, many.rss
	r.Memory = r.Heap + r.Stack
	if many.scrape.url == "" {
		return r, nil
	}
	var times [2][]float64
	for range scrapes {
		for i, c := range []*idleServer{few, many} {
			start := time.Now()
			if err := c.scrape.once(ctx); err != nil {
				return r, err
			}
			times[i] = append(times[i], float64(time.Since(start).Microseconds())/1e3)
		}
	}
	r.ScrapeFew, r.ScrapeMany = median(times[0]), median(times[1])
	return r, nil
}

// idleServer is a server with idle connections, and the bytes for each.
type idleServer struct {
	*contender
	clients          *load.Clients
	heap, stack, rss float64
}

func (o *options) startIdle(ctx context.Context, v servers.Variant, procs, conns int) (*idleServer, error) {
	c, err := o.start(ctx, v, procs)
	if err != nil {
		return nil, err
	}
	s := &idleServer{contender: c}
	if err := s.open(ctx, conns); err != nil {
		c.stop()
		return nil, err
	}
	return s, nil
}

func (s *idleServer) open(ctx context.Context, conns int) error {
	before, err := s.proc.GC()
	if err != nil {
		return err
	}
	resident := residentSet(s.proc.PID())
	s.clients, err = load.Open(ctx, s.proc.Address, load.Load{Kind: load.Idle, Conns: conns})
	if err != nil {
		return err
	}
	after, err := s.proc.GC()
	if err != nil {
		return errors.Join(err, s.clients.Close())
	}
	n := float64(conns)
	s.heap = (float64(after.Heap) - float64(before.Heap)) / n
	s.stack = (float64(after.Stack) - float64(before.Stack)) / n
	if now := residentSet(s.proc.PID()); now > 0 {
		s.rss = float64(now-resident) / n
	}
	return nil
}

func (s *idleServer) close(ctx context.Context) error {
	defer s.stop()
	err := s.clients.Close()
	s.counts.Add(s.clients.Counts())
	if err != nil {
		return err
	}
	return s.scrape.check(ctx, s.counts)
}

// residentSet returns the resident set of a process in bytes, or 0 without /proc.
func residentSet(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
