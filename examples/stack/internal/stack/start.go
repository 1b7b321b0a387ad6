//go:build unix

package stack

import (
	"context"
	"fmt"
	"time"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
)

// step is a part of the stack that is being started.
type step struct {
	name  string
	what  string // description of the part
	where string // its address
	start func(context.Context) error
}

// Start runs everything and prints its progress. Parts with a long build come last:
// the demos and Prometheus run before the Collector and Jaeger. Without traces it
// leaves out the last two.
func (s *Stack) Start(ctx context.Context, traces bool) error {
	s.Traces = false // until the Collector is ready
	used := s.At.all()
	if !traces {
		used = s.At.always()
		s.Edit = withoutCollector
	}
	if err := taken(used); err != nil {
		return err
	}
	steps := s.steps(traces)
	begin := time.Now()
	for i, step := range steps {
		fmt.Fprintf(s.Progress, "%d/%d  %s: %s", i+1, len(steps), step.name, step.what)
		if i+1 < len(steps) {
			fmt.Fprintf(s.Progress, " (next: %s)", steps[i+1].name)
		}
		fmt.Fprintln(s.Progress)
		start := time.Now()
		if err := step.start(ctx); err != nil {
			return err
		}
		fmt.Fprintf(s.Progress, "     ready after %v", time.Since(start).Round(100*time.Millisecond))
		if step.where != "" {
			fmt.Fprintf(s.Progress, ": %s", step.where)
		}
		fmt.Fprintln(s.Progress)
	}
	fmt.Fprintf(s.Progress, "all of it is there after %v\n\n", time.Since(begin).Round(time.Second))
	return nil
}

func (s *Stack) steps(traces bool) []step {
	first, second := s.At.Demos[0], s.At.Demos[1]
	program := step{
		"otelws", "compiled from this checkout", "",
		func(ctx context.Context) (err error) {
			s.DemoPath, err = BuildDemo(ctx, s.Dir)
			return err
		},
	}
	demos := step{
		"two servers", "otelws demo, each with 20 simulated clients",
		fmt.Sprintf("http://%s and http://%s", first.WebSocket, second.WebSocket),
		s.demos,
	}
	prometheus := step{
		binaries.Prometheus.String(), "scrapes the servers and evaluates the alert rules",
		"http://" + s.At.Prometheus,
		func(ctx context.Context) error { _, err := s.Prometheus(ctx); return err },
	}
	if !traces {
		return []step{program, demos, prometheus}
	}
	jaeger := step{
		binaries.Jaeger.String(), "keeps the traces",
		"http://" + s.At.Jaeger,
		func(ctx context.Context) error { _, err := s.Jaeger(ctx); return err },
	}
	collector := step{
		binaries.Collector.String(), "takes the servers' traces and sends them to Jaeger",
		"http://" + s.At.CollectorHTTP,
		func(ctx context.Context) error {
			_, err := s.Collector(ctx, "collector")
			s.Traces = err == nil
			return err
		},
	}
	if binaries.Jaeger.Built() && binaries.Collector.Built() {
		return []step{program, jaeger, collector, demos, prometheus}
	}
	again := step{"the servers again", "now with traces", demos.where, func(ctx context.Context) error {
		if err := s.stopDemos(); err != nil {
			return err
		}
		return s.demos(ctx)
	}}
	return []step{program, demos, prometheus, jaeger, collector, again}
}

func (s *Stack) demos(ctx context.Context) error {
	for i := range s.At.Demos {
		if _, err := s.Demo(ctx, i, "--clients", "20", "--heartbeat", "5s"); err != nil {
			return err
		}
	}
	return nil
}
