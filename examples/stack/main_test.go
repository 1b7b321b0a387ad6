//go:build unix

package main_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
	"github.com/otelws/otelws-go/examples/stack/internal/stack"
)

// demoPath is the path of otelws for the tests.
var demoPath string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run builds everything before the time limit of the tests starts.
func run(m *testing.M) int {
	ctx := context.Background()
	for _, b := range binaries.All {
		if _, err := b.Path(ctx, os.Stderr); err != nil {
			log.Print(err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "otelws-stack-test-")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(dir)
	if demoPath, err = stack.BuildDemo(ctx, dir); err != nil {
		log.Print(err)
		return 1
	}
	return m.Run()
}

// patience is the time limit for a condition, for a busy machine.
const patience = 90 * time.Second

// newStack returns a stack on free ports whose intervals are divided by speed. It
// ends with the test. If the test fails, its logs are shown.
func newStack(t *testing.T, speed int) *stack.Stack {
	t.Helper()
	at, err := stack.Free()
	check(t, err)
	s := &stack.Stack{Dir: t.TempDir(), At: at, Speed: speed, DemoPath: demoPath, Traces: true, Progress: os.Stderr}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if !t.Failed() {
			return
		}
		logs, _ := filepath.Glob(filepath.Join(s.Dir, "*.log"))
		for _, name := range logs {
			text, _ := os.ReadFile(name)
			t.Logf("%s:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return s
}

// must fails the test if err is not nil, and returns the value.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually repeats try until it succeeds.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// prometheus is a client of the Prometheus API.
type prometheus struct {
	promv1.API
	t testing.TB
}

func ask(t testing.TB, address string) prometheus {
	t.Helper()
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	check(t, err)
	return prometheus{promv1.NewAPI(client), t}
}

// query returns the current vector of expr.
func (p prometheus) query(expr string) model.Vector {
	p.t.Helper()
	v, _, _, err := p.Query(p.t.Context(), expr, time.Now())
	if err != nil {
		p.t.Fatalf("%s: %v", expr, err)
	}
	vector, ok := v.(model.Vector)
	if !ok {
		p.t.Fatalf("%s is a %s, want a vector", expr, v.Type())
	}
	return vector
}

// await waits until ok accepts the value of expr, a query with one value.
func (p prometheus) await(expr string, ok func(float64) bool) float64 {
	p.t.Helper()
	var value float64
	eventually(p.t, expr, func() error {
		vector := p.query(expr)
		if len(vector) != 1 || !ok(float64(vector[0].Value)) {
			return fmt.Errorf("it is %v", vector)
		}
		value = float64(vector[0].Value)
		return nil
	})
	return value
}

func equals(want float64) func(float64) bool { return func(got float64) bool { return got == want } }
func above(low float64) func(float64) bool   { return func(got float64) bool { return got > low } }

// talk opens a connection to the demo's echo, and sends ten messages of size bytes
// per second until the test ends. It counts all errors except the end.
func talk(t testing.TB, address string, size int, errors *atomic.Int64) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://"+address+"/echo", nil)
	check(t, err)
	c.SetReadLimit(-1)
	message := make([]byte, size)
	var over sync.WaitGroup
	over.Go(func() {
		defer c.CloseNow()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			err := c.Write(t.Context(), websocket.MessageBinary, message)
			if err == nil {
				_, _, err = c.Read(t.Context())
			}
			if err != nil {
				if t.Context().Err() == nil {
					errors.Add(1)
				}
				return
			}
			select {
			case <-tick.C:
			case <-t.Context().Done():
				return
			}
		}
	})
	t.Cleanup(over.Wait)
}

// visit opens a connection and closes it normally.
func visit(t testing.TB, address string) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://"+address+"/echo", nil)
	check(t, err)
	defer c.CloseNow()
	check(t, c.Close(websocket.StatusNormalClosure, ""))
}

// drop ends a connection like a client whose process is killed.
func drop(t testing.TB, address string) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://"+address+"/echo", nil)
	check(t, err)
	c.CloseNow()
}
