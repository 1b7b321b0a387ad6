package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
	"github.com/otelws/otelws-go/examples/benchmark/internal/stats"
)

func benchmark(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	rep := &Report{Environment: environment(), Rounds: o.rounds, Seconds: o.duration.Seconds(), Beside: o.beside}
	note := func(format string, a ...any) {
		rep.Notes = append(rep.Notes, fmt.Sprintf(format, a...))
		fmt.Fprintf(stderr, format+"\n", a...)
	}
	if slices.ContainsFunc(o.variants, inNode) {
		if err := o.findNode(ctx); err != nil {
			if o.chosen || o.npmInstall {
				return fmt.Errorf("failed to set up the servers in Node: %w", err)
			}
			o.variants = slices.DeleteFunc(slices.Clone(o.variants), inNode)
			note("the servers in Node are skipped: %v", err)
		}
	}
	var failed error
	for _, l := range o.loads {
		if room := maxConns() - o.beside; l.Conns > room {
			note("%s has %d connections instead of %d: raise the limit of file descriptors", l.Name, room, l.Conns)
			l.Conns = room
		}
		fmt.Fprintln(stderr, l.Title)
		res, err := o.measure(ctx, l, rep)
		if len(res.Contenders) > 0 {
			rep.Loads = append(rep.Loads, res)
		}
		if ctx.Err() != nil {
			note("interrupted during %s", l.Name)
			break
		}
		if failed = err; failed != nil {
			break
		}
	}
	return errors.Join(failed, rep.write(o, stdout))
}

func inNode(v servers.Variant) bool { return v.Node != servers.NotNode }

// measure measures all servers under one load. With an error, it also returns the results so far.
func (o *options) measure(ctx context.Context, l namedLoad, rep *Report) (LoadResult, error) {
	res := LoadResult{Name: l.Name, Title: l.Title, Connections: l.Conns, Bytes: l.Bytes}
	var all []*contender
	defer func() {
		for _, c := range all {
			c.stop()
		}
	}()
	for _, v := range o.variants {
		if len(v.Only) > 0 && !o.chosen && !slices.Contains(v.Only, l.Name) {
			continue
		}
		for i, procs := range o.gomaxprocs {
			if v.Node != servers.NotNode && i > 0 {
				continue // Node has one thread
			}
			res.Contenders = append(res.Contenders, &Contender{Variant: v.Name, Title: v.Title, GOMAXPROCS: procs})
			if l.Kind == load.Idle {
				continue // idle starts a server for each round
			}
			c, err := o.start(ctx, v, procs)
			if err != nil {
				return res, err
			}
			all = append(all, c)
			rep.Environment.add(c.proc.Versions)
		}
	}

	rounds := o.rounds
	if l.Kind == load.Idle {
		rounds = min(rounds, maxIdleRounds)
	}
	var order []int
	for round := range rounds + 1 { // round 0 is the warm-up
		order = stats.Order(round, order, len(res.Contenders), rand.Perm)
		measured := make([]Round, len(order))
		for _, i := range order {
			var err error
			if l.Kind == load.Idle {
				if round == 0 {
					continue // every process is new in any case
				}
				measured[i], err = o.idle(ctx, l, res.Contenders[i])
			} else {
				measured[i], err = o.round(ctx, l, all[i])
			}
			if err != nil {
				return res, fmt.Errorf("%s, %s: %w", l.Name, res.Contenders[i].Variant, err)
			}
		}
		if round > 0 { // only complete rounds, for the ratios
			for i, r := range measured {
				res.Contenders[i].Rounds = append(res.Contenders[i].Rounds, r)
			}
		}
	}
	for _, c := range all {
		if err := c.scrape.check(ctx, c.counts); err != nil {
			return res, fmt.Errorf("%s, %s: metrics do not agree with the clients: %w", l.Name, c.Name, err)
		}
	}
	return res, nil
}

// warmUp is the share of the duration in which new connections warm up.
const warmUp = 10

func (o *options) round(ctx context.Context, l namedLoad, c *contender) (r Round, err error) {
	if o.beside > 0 && !c.Alone {
		beside, err := load.Open(ctx, c.proc.Address, load.Load{Kind: load.Idle, Conns: o.beside})
		if err != nil {
			return r, err
		}
		defer func() {
			err = errors.Join(err, beside.Close())
			c.counts.Add(beside.Counts())
		}()
	}
	clients, err := load.Open(ctx, c.proc.Address, l.Load)
	if err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, clients.Close())
		c.counts.Add(clients.Counts())
	}()
	if _, err := c.proc.GC(); err != nil {
		return r, err
	}
	if _, err := clients.Run(ctx, o.duration/warmUp); err != nil {
		return r, err
	}
	before, err := c.proc.Usage()
	if err != nil {
		return r, err
	}
	scraped := c.scrape.during(ctx)
	done, err := clients.Run(ctx, o.duration)
	if err := errors.Join(err, scraped()); err != nil {
		return r, err
	}
	after, err := c.proc.Usage()
	if err != nil {
		return r, err
	}
	n := float64(done.Messages)
	r = Round{
		Messages: done.Messages,
		Seconds:  done.Elapsed.Seconds(),
		CPU:      float64((after.CPU - before.CPU).Nanoseconds()) / 1e3 / n,
		P50:      float64(done.Latency.ValueAtQuantile(50)),
		P99:      float64(done.Latency.ValueAtQuantile(99)),
	}
	if after.Mallocs > 0 {
		allocs := float64(after.Mallocs-before.Mallocs) / n
		r.Allocs = &allocs
	}
	return r, nil
}
