package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
	"github.com/otelws/otelws-go/examples/benchmark/internal/stats"
)

// proxiesCommand compares otelws proxy with HAProxy and nginx, if they are installed, by the CPU
// time for an echoed message in front of the same server. otelws records all its metrics and is
// scraped once a second. Its counts must agree exactly with the clients.
const proxiesCommand = "proxies"

type proxiesOptions struct {
	rounds      int
	duration    time.Duration
	connections int
	sizes       []int
	otelws      string
	procs       int
}

func parseProxiesOptions(args []string, stderr io.Writer) (*proxiesOptions, error) {
	o := proxiesOptions{procs: runtime.GOMAXPROCS(0)}
	var sizes string
	f := flag.NewFlagSet("benchmark "+proxiesCommand, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 10, "measure each proxy so often")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "measure for so long each time")
	f.IntVar(&o.connections, "connections", 50, "echo on so many connections at once")
	f.StringVar(&sizes, "sizes", "64,1024,16384,262144", "comma-separated sizes of messages in `bytes`")
	f.StringVar(&o.otelws, "otelws", "", "the `program` otelws; it is built if this is empty")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if o.sizes, err = numbers(sizes); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1 || o.duration <= 0 || o.connections < 1 || len(o.sizes) == 0:
		return nil, errors.New("-rounds, -duration, -connections and -sizes must be positive")
	}
	return &o, nil
}

func compareProxies(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseProxiesOptions(args, stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(echoAll)}
	go func() { _ = srv.Serve(backend) }()
	defer srv.Close()
	var all []*runningProxy
	defer func() {
		for _, p := range all {
			p.stop()
		}
	}()
	for _, start := range []func(context.Context, *proxiesOptions, string) (*runningProxy, error){startOtelws, startHAProxy, startNginx} {
		p, err := start(ctx, o, backend.Addr().String())
		if errors.Is(err, errAbsent) {
			fmt.Fprintf(stderr, "skipped: %v\n", err)
			continue
		}
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "echo on %d connections, CPU of the proxy per message, medians of %d rounds\n\n", o.connections, o.rounds)
	fmt.Fprintln(t, "bytes\tproxy\tCPU µs\tquartiles\totelws ÷ it\tquartiles\tp50 µs\tp99 µs\tmessages/s")
	for _, size := range o.sizes {
		measured, err := o.measure(ctx, all, size)
		if err != nil {
			return err
		}
		for i, p := range all {
			r := measured[i]
			cpu, ratio := stats.Summarize(r.cpu), stats.Summarize(stats.Ratios(measured[0].cpu, r.cpu))
			fmt.Fprintf(t, "%d\t%s\t%.1f\t%.1f-%.1f\t%.2f\t%.2f-%.2f\t%.0f\t%.0f\t%.0f\n", size, p.name, cpu.Median, cpu.Q1, cpu.Q3,
				ratio.Median, ratio.Q1, ratio.Q3, stats.Summarize(r.p50).Median, stats.Summarize(r.p99).Median, stats.Summarize(r.rate).Median)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, p := range all {
		if err := p.scrape.check(ctx, p.counts); err != nil {
			return fmt.Errorf("%s: metrics do not agree with the clients: %w", p.name, err)
		}
	}
	return nil
}

// echoAll is the server behind the proxies.
func echoAll(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		typ, message, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), typ, message) != nil {
			return
		}
	}
}

// proxyRounds are the rounds of one proxy with one message size.
type proxyRounds struct{ cpu, p50, p99, rate []float64 }

func (o *proxiesOptions) measure(ctx context.Context, all []*runningProxy, size int) ([]proxyRounds, error) {
	measured := make([]proxyRounds, len(all))
	var order []int
	for round := range o.rounds + 1 { // round 0 is the warm-up
		order = stats.Order(round, order, len(all), rand.Perm)
		for _, i := range order {
			if err := o.round(ctx, all[i], size, round > 0, &measured[i]); err != nil {
				return nil, fmt.Errorf("%s, %d bytes: %w", all[i].name, size, err)
			}
		}
	}
	return measured, nil
}

func (o *proxiesOptions) round(ctx context.Context, p *runningProxy, size int, counts bool, m *proxyRounds) (err error) {
	clients, err := load.Open(ctx, p.address, load.Load{Kind: load.Echo, Conns: o.connections, Bytes: size})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, clients.Close())
		p.counts.Add(clients.Counts())
	}()
	if _, err := clients.Run(ctx, o.duration/warmUp); err != nil {
		return err
	}
	before, err := p.cpu()
	if err != nil {
		return err
	}
	scraped := p.scrape.during(ctx)
	done, err := clients.Run(ctx, o.duration)
	if err := errors.Join(err, scraped()); err != nil {
		return err
	}
	after, err := p.cpu()
	if err != nil || !counts {
		return err
	}
	n := float64(done.Messages)
	m.cpu = append(m.cpu, float64((after-before).Nanoseconds())/1e3/n)
	m.p50 = append(m.p50, float64(done.Latency.ValueAtQuantile(50)))
	m.p99 = append(m.p99, float64(done.Latency.ValueAtQuantile(99)))
	m.rate = append(m.rate, n/done.Elapsed.Seconds())
	return nil
}
