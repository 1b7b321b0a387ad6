package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"

	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
)

const metricsPath = "/metrics"

// Serve runs a Go server in this process. It serves s on loopback, answers the commands from in,
// and returns at the end of in.
func Serve(s *servers.Server, in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt) // the parent decides
	var listening Listening
	address, closeApp, err := serve(s.Handler())
	if err != nil {
		return err
	}
	defer closeApp()
	listening.Address = address
	if s.Metrics != nil {
		mux := http.NewServeMux()
		mux.Handle(metricsPath, s.Metrics)
		address, closeMetrics, err := serve(mux)
		if err != nil {
			return err
		}
		defer closeMetrics()
		listening.Metrics = "http://" + address + metricsPath
	}
	enc := json.NewEncoder(out)
	if err := enc.Encode(listening); err != nil {
		return err
	}
	if err := answer(in, enc); err != nil {
		return err
	}
	if s.Shutdown != nil {
		return s.Shutdown(context.Background())
	}
	return nil
}

func serve(h http.Handler) (address string, shut func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	return l.Addr().String(), srv.Close, nil
}

func answer(in io.Reader, enc *json.Encoder) error {
	commands := bufio.NewScanner(in)
	for commands.Scan() {
		switch c := commands.Text(); c {
		case cmdUsage:
		case cmdGC:
			// Twice: finalizers and pools release memory only at the second collection.
			runtime.GC()
			runtime.GC()
		default:
			return fmt.Errorf("there is no command %q", c)
		}
		u, err := usage()
		if err != nil {
			return err
		}
		if err := enc.Encode(u); err != nil {
			return err
		}
	}
	// A parent that is interrupted may close the pipe at any time.
	if err := commands.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

func usage() (Usage, error) {
	cpu, err := cpuTime()
	if err != nil {
		return Usage{}, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{CPU: cpu, Mallocs: m.Mallocs, Heap: m.HeapAlloc, Stack: m.StackInuse}, nil
}
