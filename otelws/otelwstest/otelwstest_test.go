package otelwstest_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newPair(t *testing.T) (m *otelwstest.Metrics, server, client *websocket.Conn) {
	t.Helper()
	m = otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	server, client = otelwstest.Pair(t, ws, nil, nil)
	return m, server, client
}

// Both ends may write although neither reads.
func TestPair(t *testing.T) {
	m, server, client := newPair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, c := range []*websocket.Conn{server, client} {
		if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*websocket.Conn{client, server} {
		if _, b, err := c.Read(ctx); string(b) != "hello" || err != nil {
			t.Errorf("read %q, %v; want hello", b, err)
		}
	}
	// The other end still receives a message that was sent before Close.
	if err := server.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	server.CloseNow()
	if _, b, err := client.Read(ctx); string(b) != "bye" || err != nil {
		t.Errorf("read %q, %v; want bye", b, err)
	}
	if _, _, err := client.Read(ctx); err == nil {
		t.Error("a Read of a closed connection succeeded")
	}
	m.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
	m.Wait(t, `ws_client_connections_closed_total{code="1006"}`, 1)
}

// A Write blocks if the other end does not read, and returns when its context ends.
func TestPairIsBounded(t *testing.T) {
	m, server, _ := newPair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := server.Write(ctx, websocket.MessageBinary, make([]byte, 1<<20)); err == nil {
		t.Error("a Write of a megabyte returned although nobody read it")
	}
	m.Wait(t, "ws_connections_active", 0)
}

func TestPairCloses(t *testing.T) {
	m, server, client := newPair(t)
	server.CloseRead(context.Background())
	if err := client.Close(websocket.StatusGoingAway, "bye"); err != nil {
		t.Error(err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
}

func TestDiff(t *testing.T) {
	m, _, _ := newPair(t)
	want := `
		ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~
		ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
		ws_connections_opened_total 1
		ws_connections_active 1
		ws_client_handshake_duration_seconds_sum{http_response_status_code="101"} ~
		ws_client_handshake_duration_seconds_count{http_response_status_code="101"} 1
		ws_client_connections_opened_total 1
		ws_client_connections_active 1`
	m.WaitDiff(t, want)
	got := m.Diff(strings.Replace(want, "ws_connections_active 1", "ws_connections_active 2", 1))
	if want := "+ ws_connections_active 1\n- ws_connections_active 2\n"; got != want {
		t.Errorf("Diff returned\n%swant\n%s", got, want)
	}
}

// failing is a test that records its failure and then ends its goroutine.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// A failed Wait suggests a similar name of a sample.
func TestWaitSuggests(t *testing.T) {
	otelwstest.ShortenWaits(t, time.Millisecond)
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	otelwstest.Pair(t, ws, nil, nil)
	for sample, want := range map[string]string{
		"ws_connection_active":        "did you mean ws_connections_active?",
		"ws_connections_opened":       "did you mean ws_connections_opened_total?",
		`ws_connections_active{a=""}`: "did you mean ws_connections_active?",
		`ws_handshake_duration_seconds_count{http_response_status_code="200"}`: `did you mean ws_handshake_duration_seconds_count{http_response_status_code="101"}?`,
		"http_requests_total": "there is no sample http_requests_total; there are:",
	} {
		if got := failureOfWait(t, m, sample); !strings.Contains(got, want) {
			t.Errorf("Wait for %s failed with %q, want %q", sample, got, want)
		}
	}
}

// If nothing has happened yet, a failed Wait shows the samples that are 0. If nothing records, it
// says so.
func TestWaitForNothing(t *testing.T) {
	otelwstest.ShortenWaits(t, time.Millisecond)
	m := otelwstest.NewMetrics(t)
	if got, want := failureOfWait(t, m, "ws_connections_active"), "pass MeterProvider to otelws.New"; !strings.Contains(got, want) {
		t.Errorf("without an Instrumentation, Wait failed with %q, want %q", got, want)
	}
	if _, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider())); err != nil {
		t.Fatal(err)
	}
	if got, want := failureOfWait(t, m, "http_requests_total"), "\nws_connections_opened_total 0\n"; !strings.Contains(got, want) {
		t.Errorf("before any connection, Wait failed with %q, want %q", got, want)
	}
}

// failureOfWait returns the failure of a test that waits for a sample.
func failureOfWait(t *testing.T, m *otelwstest.Metrics, sample string) string {
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Wait(f, sample, 1)
	}()
	<-done
	return f.text
}

func TestText(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	if _, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider())); err != nil {
		t.Fatal(err)
	}
	if got := m.Changed(); got != "" {
		t.Errorf("before any connection, Changed returned\n%s", got)
	}
	if !strings.Contains(m.Text(), "\nws_connections_opened_total 0\n") {
		t.Errorf("Text has no counter at 0:\n%s", m.Text())
	}
	if v, ok := m.Value("ws_connections_active"); v != 0 || !ok {
		t.Errorf("the gauge is %v, %v; want 0, true", v, ok)
	}
	if _, ok := m.Value("ws_connections"); ok {
		t.Error("Value found a sample by a part of its name")
	}
	if _, err := m.WriteTo(io.Discard); err != nil {
		t.Error(err)
	}
}
