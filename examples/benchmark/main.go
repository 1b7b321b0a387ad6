// Command benchmark measures what metrics cost a WebSocket server: bare
// coder/websocket, otelws, the same by hand on client_golang and on the
// OpenTelemetry API, and Node's ws with prom-client, side by side. The servers
// are in internal/servers, a file each.
//
//	go run ./examples/benchmark                 # some ten minutes
//	go run ./examples/benchmark -quick          # half a minute, and no figures to quote
//	go run ./examples/benchmark -loads echo-64 -gomaxprocs 1,2
//	go run ./examples/benchmark -loads '' -connections 1,100,10000
//
// Each server is a process of its own, which reports its CPU time and its
// allocations; the clients are in this process, the same for all. CPU time of
// the server per message is the honest measure, since the clients share the
// machine: throughput and round trips are those of both together. Whatever
// serves metrics is scraped over HTTP once in each second that it is measured.
//
// For a load, every server is started and warmed up for a round. Then each
// round measures every server once, in an order that is shuffled, and in each
// second round the one before it backwards. Before each measurement the server
// collects its garbage and has a tenth of the time with the new connections.
// A ratio is that of two servers in the same round; what is reported is the
// median over the rounds, and the quartiles as its spread. After the last round
// each server's metrics must agree with what the clients have done, to the
// message, or the run fails.
//
// Beside the busy connections a server holds thousands of idle ones, as servers
// do (-beside). Without them its heap is a megabyte, which the garbage collector
// goes over so often that the few objects of the metrics show: the rows without
// idle connections are there to see by how much.
//
// gorilla/websocket is compared with itself. A message above its write buffer is
// one vectored write on a bare socket and two writes on any other connection;
// with a WriteBufferSize of the usual message it is one on both.
//
// Allocations include those of scrapes. Memory of an idle connection is heap and
// stack after a garbage collection, and the resident set beside it. Control
// frames: there are no heartbeats unless -heartbeat asks for them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/otelws/otelws-go/examples/benchmark/internal/process"
	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
)

// serveCommand has this program be one of the servers.
const serveCommand = "serve"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == serveCommand {
		return report(stderr, serve(args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	return report(stderr, benchmark(ctx, args, stdout, stderr))
}

func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "benchmark:", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 1
}

func serve(args []string) error {
	name, opts, err := serveArgs(args)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(servers.Variants, func(v servers.Variant) bool { return v.Name == name && v.New != nil })
	if i < 0 {
		return fmt.Errorf("there is no server %q in Go", name)
	}
	s, err := servers.Variants[i].New(opts)
	if err != nil {
		return err
	}
	return process.Serve(s, os.Stdin, os.Stdout)
}
