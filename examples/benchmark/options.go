package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
)

// namedLoad is a load with its name in flags and tables.
type namedLoad struct {
	Name  string
	Title string
	load.Load
}

var allLoads = []namedLoad{
	{"echo-64", "echo of 64 B, 50 connections", load.Load{Kind: load.Echo, Conns: 50, Bytes: 64}},
	{"echo-1024", "echo of 1 KiB, 50 connections", load.Load{Kind: load.Echo, Conns: 50, Bytes: 1 << 10}},
	{"echo-16384", "echo of 16 KiB, 50 connections", load.Load{Kind: load.Echo, Conns: 50, Bytes: 16 << 10}},
	{"fanout", "fan-out of 64 B to 1,000 connections", load.Load{Kind: load.FanOut, Conns: 1000, Bytes: 64}},
	{"churn", "connect, echo 64 B, close; 16 at once", load.Load{Kind: load.Churn, Conns: 16, Bytes: 64}},
	{"idle", "idle connections", load.Load{Kind: load.Idle, Conns: 10_000}},
}

type options struct {
	rounds      int
	duration    time.Duration
	beside      int
	heartbeat   time.Duration
	variants    []servers.Variant
	chosen      bool // the variants were named
	loads       []namedLoad
	gomaxprocs  []int
	nodeModules string
	npmInstall  bool
	json        string
	format      string
}

// besideConns is the number of idle connections that give a server a realistic heap.
// With a heap of a megabyte, the garbage collector runs so often that it dominates
// the cost of metrics.
const besideConns = 3000

// Settings of -quick.
const (
	quickRounds   = 2
	quickDuration = 50 * time.Millisecond
	quickConns    = 200
)

// maxIdleRounds limits the rounds of idle connections, which vary little and take long.
const maxIdleRounds = 3

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	var o options
	var variants, loads, procs, connections string
	var quick bool
	f := flag.NewFlagSet("benchmark", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 10, "`number` of measurements of each server")
	f.DurationVar(&o.duration, "duration", time.Second, "duration of each measurement")
	f.IntVar(&o.beside, "beside", besideConns, "`number` of idle connections that each server holds beside the busy ones")
	f.DurationVar(&o.heartbeat, "heartbeat", 0, "interval of the servers' pings, at least some seconds, because the clients of an echo answer only during a measurement; 0 for none")
	f.StringVar(&variants, "variants", "", "comma-separated `names` of servers: "+names(servers.Variants, variantName)+"; all if empty")
	f.StringVar(&loads, "loads", names(allLoads, loadName), "comma-separated `names` of loads")
	f.StringVar(&procs, "gomaxprocs", strconv.Itoa(runtime.GOMAXPROCS(0)), "comma-separated `numbers` of processors for the Go servers, to compare")
	f.StringVar(&connections, "connections", "", "comma-separated `numbers` of connections: measure the 64 B echo with each, in addition to -loads")
	f.StringVar(&o.nodeModules, "node-modules", os.Getenv("OTELWS_NODE_MODULES"), "`directory` with the packages ws and prom-client; the default is OTELWS_NODE_MODULES")
	f.BoolVar(&o.npmInstall, "npm-install", false, "install ws and prom-client with npm into the user's cache directory, and use them")
	f.StringVar(&o.json, "json", "", "also write the report to this `file`, as JSON")
	f.StringVar(&o.format, "format", "table", "output format: table, markdown or json")
	f.BoolVar(&quick, "quick", false, "run short measurements, to see whether everything works; -rounds and -duration take precedence")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var errs [5]error
	o.chosen = variants != ""
	o.variants, errs[0] = choose(servers.Variants, variantName, variants)
	if !o.chosen {
		o.variants = servers.Variants
	}
	o.loads, errs[1] = choose(allLoads, loadName, loads)
	o.gomaxprocs, errs[2] = numbers(procs)
	conns, err := numbers(connections)
	errs[3] = err
	switch {
	case f.NArg() > 0:
		errs[4] = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1 || o.duration <= 0 || o.heartbeat < 0 || len(o.gomaxprocs) == 0:
		errs[4] = errors.New("-rounds, -duration and -gomaxprocs must be positive")
	case o.beside < 0:
		errs[4] = errors.New("-beside must not be negative")
	case !slices.Contains([]string{"table", "markdown", "json"}, o.format):
		errs[4] = fmt.Errorf("-format %q is none of table, markdown and json", o.format)
	}
	for _, n := range conns {
		o.loads = append(o.loads, namedLoad{fmt.Sprintf("echo-64@%d", n), fmt.Sprintf("echo of 64 B, %d connections", n),
			load.Load{Kind: load.Echo, Conns: n, Bytes: 64}})
	}
	if quick {
		given := make(map[string]bool)
		f.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["rounds"] {
			o.rounds = quickRounds
		}
		if !given["duration"] {
			o.duration = quickDuration
		}
		if !given["beside"] {
			o.beside = quickConns
		}
		for i, l := range o.loads {
			if l.Conns > quickConns {
				o.loads[i].Conns = quickConns
				o.loads[i].Title += fmt.Sprintf(" (-quick: %d)", quickConns)
			}
		}
	}
	return &o, errors.Join(errs[:]...)
}

func variantName(v servers.Variant) string { return v.Name }
func loadName(l namedLoad) string          { return l.Name }

func names[T any](all []T, name func(T) string) string {
	var s []string
	for _, v := range all {
		s = append(s, name(v))
	}
	return strings.Join(s, ",")
}

func choose[T any](all []T, name func(T) string, list string) (chosen []T, err error) {
	for n := range strings.SplitSeq(list, ",") {
		if n == "" {
			continue
		}
		i := slices.IndexFunc(all, func(v T) bool { return name(v) == n })
		if i < 0 {
			return nil, fmt.Errorf("%q is none of %s", n, names(all, name))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func numbers(list string) (ns []int, err error) {
	for s := range strings.SplitSeq(list, ",") {
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a positive number", s)
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// The arguments of serveCommand are the variant and the heartbeat.
func serveArgs(args []string) (string, servers.Options, error) {
	if len(args) != 2 {
		return "", servers.Options{}, errors.New("serve takes a variant and a heartbeat")
	}
	heartbeat, err := time.ParseDuration(args[1])
	return args[0], servers.Options{Heartbeat: heartbeat}, err
}
