// Command benchmark measures the cost of metrics in a WebSocket server. It compares bare
// coder/websocket, otelws, the same metrics by hand with client_golang and with the OpenTelemetry API,
// and Node's ws with prom-client. The servers are in internal/servers, one file each.
//
//	go run ./examples/benchmark                 # about twelve minutes
//	go run ./examples/benchmark -quick          # half a minute, for a first look
//	go run ./examples/benchmark -loads echo-64 -gomaxprocs 1,2
//	go run ./examples/benchmark -loads '' -connections 1,100,10000
//	go run ./examples/benchmark proxies         # compares otelws proxy with HAProxy and nginx
//
// Each server is a process of its own, which reports its CPU time and its allocations. The clients are
// in this process, and are the same for all servers. The fair measure is the server's CPU time for each
// message. Throughput and round trips also contain the cost of the clients, which share the machine.
// Every server with metrics is scraped over HTTP once a second while it is measured.
//
// For each load, every server is started and warmed up for one round. Then each round measures every
// server once. Odd rounds have a random order, and even rounds the reverse of the round before. Before
// each measurement, the server collects its garbage and runs the new connections for a tenth of the
// time. A ratio compares two servers in the same round. The report has the median over the rounds, and
// the quartiles. After the last round, each server's metrics must agree exactly with the counts of the
// clients, or the run fails.
//
// Beside the busy connections, a server holds thousands of idle ones (-beside), as real servers do.
// Without them, its heap is only a megabyte, and the garbage collector runs so often that the few
// objects of the metrics become visible. The rows without idle connections show this effect.
//
// gorilla/websocket is compared with itself. A message that is larger than its write buffer takes one
// vectored write on a bare socket, and two writes on any other connection. With a WriteBufferSize of
// the usual message size, it takes one write on both.
//
// Allocations include those of scrapes. The memory of idle connections is heap and stack after a
// garbage collection; the resident set is reported beside it. There are no heartbeats without
// -heartbeat.
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

// serveCommand is the first argument that makes this program run one of the servers.
const serveCommand = "serve"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == serveCommand {
		return report(stderr, serve(args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills the process
	if len(args) > 0 && args[0] == proxiesCommand {
		return report(stderr, compareProxies(ctx, args[1:], stdout, stderr))
	}
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
