package otelws_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file in testdata, or writes the file under -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the scrape differs (%s -, scrape +):\n%s", path, diff)
	}
}

// timed matches samples whose value depends on time.
var timed = regexp.MustCompile(`(?m)^(\w+_seconds(?:_bucket|_sum|_total)(?:\{[^}]*\})?) .*$`)

// The gauge and the counters exist before the first connection.
func TestFirstScrape(t *testing.T) {
	_, m := newInstrumentation(t)
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "first_scrape.txt", b.String())
}

// The golden file has names, types, units, bounds and descriptions of both sides, after
// every instrument has recorded.
func TestScrape(t *testing.T) {
	ws, m := newInstrumentation(t)
	everything(t, ws, m)
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "scrape.txt", timed.ReplaceAllString(b.String(), "$1 ~"))
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

// everything makes each instrument of both sides record something. The counts are the
// same in each run.
func everything(t *testing.T, ws *otelws.Instrumentation, m *otelwstest.Metrics) {
	t.Helper()
	ctx := context.Background()
	server, client := otelwstest.Pair(t, ws, nil, nil)
	go func() {
		for {
			typ, b, err := server.Read(ctx)
			if err != nil {
				return
			}
			if err := server.Write(ctx, typ, b); err != nil {
				return
			}
		}
	}()
	for _, size := range []int{5, 300, 5000} {
		if err := client.Write(ctx, websocket.MessageBinary, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Read(ctx); err != nil {
			t.Fatal(err)
		}
	}
	client.CloseRead(ctx)
	for _, c := range []*websocket.Conn{server, client} {
		if err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Fatal(err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
	m.Wait(t, `ws_client_connections_closed_total{code="1000"}`, 1)
}
