//go:build unix

// Command stack runs two instances of the otelws demo and Prometheus on loopback
// until Ctrl-C. With -traces it also runs the OpenTelemetry Collector and Jaeger. It
// builds missing programs once.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
	"github.com/otelws/otelws-go/examples/stack/internal/process"
	"github.com/otelws/otelws-go/examples/stack/internal/stack"
)

const usage = `Usage:

  go run .            run two servers and Prometheus until Ctrl-C
  go run . -traces    the same with the Collector and Jaeger
  go run . build      build the programs and print where they are: all of
                      them, or those named, such as prometheus otelcol

`

func main() {
	log.SetFlags(0)
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	traces := flag.Bool("traces", false, "run the Collector and Jaeger as well; to build them takes some ten minutes, once")
	free := flag.Bool("free", false, "listen on free ports")
	dir := flag.String("dir", "", "`directory` for data and logs; the default is a temporary one, which is removed at the end if all went well")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	switch flag.Arg(0) {
	case "build":
		err = build(ctx, flag.Args()[1:])
	case "":
		err = run(ctx, stop, options{*dir, *free, *traces})
	default:
		fmt.Fprintf(flag.CommandLine.Output(), "there is no command %q\n\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func build(ctx context.Context, names []string) error {
	wanted := binaries.All
	if len(names) > 0 {
		wanted = nil
	}
	for _, name := range names {
		b, err := binaries.Named(name)
		if err != nil {
			return err
		}
		wanted = append(wanted, b)
	}
	for _, b := range wanted {
		path, err := b.Path(ctx, os.Stderr)
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}

type options struct {
	dir          string
	free, traces bool
}

// run ends with ctx. Then stopSignals restores the default, so that a second signal
// ends the process at once.
func run(ctx context.Context, stopSignals func(), o options) (err error) {
	s := stack.Stack{At: stack.Default(), Speed: 1, Progress: os.Stderr}
	if o.free {
		if s.At, err = stack.Free(); err != nil {
			return err
		}
	}
	died := false
	if o.dir == "" {
		if s.Dir, err = os.MkdirTemp("", "otelws-stack-"); err != nil {
			return err
		}
		defer func() {
			if err == nil && !died {
				err = os.RemoveAll(s.Dir)
			}
		}()
	} else if s.Dir, err = filepath.Abs(o.dir); err != nil {
		return err
	} else if err = os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}

	err = s.Start(ctx, o.traces)
	if err == nil {
		printAddresses(&s)
		died = watch(ctx, s.Processes())
	}
	interrupted := ctx.Err() != nil
	stopSignals() // also ends ctx
	if interrupted {
		err = nil // Ctrl-C is not an error
		log.Print("stopping")
	}
	if stopErr := s.Stop(); err == nil {
		err = stopErr
	}
	return err
}

// watch reports processes that end, until ctx is done. The other processes keep
// running: to see the alerts for a dead instance, kill one.
func watch(ctx context.Context, all []*process.Process) (died bool) {
	ended := make(chan *process.Process)
	for _, p := range all {
		go func() {
			<-p.Done()
			select {
			case ended <- p:
			case <-ctx.Done():
			}
		}()
	}
	for {
		select {
		case p := <-ended:
			died = true
			log.Print(p.Err())
		case <-ctx.Done():
			return died
		}
	}
}

func printAddresses(s *stack.Stack) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for i, d := range s.At.Demos {
		fmt.Fprintf(w, "demo %d\thttp://%s\tmetrics: http://%s/metrics\n", i+1, d.WebSocket, d.Metrics)
	}
	fmt.Fprintf(w, "Prometheus\thttp://%s\tAPI: /api/v1/query?query=sum(ws_connections_active), /api/v1/alerts\n", s.At.Prometheus)
	if s.Traces {
		fmt.Fprintf(w, "Jaeger\thttp://%s\tAPI: /api/v3/traces/ID\n", s.At.Jaeger)
		fmt.Fprintf(w, "Collector\thttp://%s\tOTLP over HTTP; gRPC on %s\n", s.At.CollectorHTTP, s.At.CollectorGRPC)
	}
	fmt.Fprintf(w, "logs, data\t%s\t\n", s.Dir)
	w.Flush()
	if last := s.LastDemo(); last != nil {
		fmt.Printf("\nTo have an alert fire in a minute or two, end a server: kill -KILL %d\n", last.PID())
	}
	fmt.Println("Ctrl-C stops it all.")
}
