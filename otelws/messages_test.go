package otelws_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// The series are the same whether instruments of the SDK record the messages or the
// exporter reads the connections' own counts.
func TestMessagesCounted(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	exp, err := exporter.New(exporter.WithoutRuntimeMetrics())
	if err != nil {
		t.Fatal(err)
	}
	tier := func(r *http.Request) string { return r.URL.Query().Get("tier") }
	sendSizes(t, m.MeterProvider(), tier)
	sendSizes(t, exp.MeterProvider(), tier)

	closed := `ws_connections_closed_total{code="1000",tier="pro"}`
	m.Wait(t, closed, 2)
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(scrapeOf(t, exp), closed+" 2\n"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s is 2", closed)
		}
	}
	var text bytes.Buffer
	if _, err := m.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	got := messageLines(scrapeOf(t, exp))
	if diff := cmp.Diff(messageLines(text.String()), got); diff != "" {
		t.Errorf("recorded -, counted +:\n%s", diff)
	}
	if want := `ws_message_bytes_bucket{tier="pro",le="64"} 8`; !slices.Contains(got, want) {
		t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
	}
}

func scrapeOf(t *testing.T, exp *exporter.Exporter) string {
	t.Helper()
	w := httptest.NewRecorder()
	exp.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the scrape has status %d", w.Code)
	}
	return w.Body.String()
}

func messageLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ws_message") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}

var sizesSent = []int{0, 1, 63, 64, 65, 256, 257, 1024, 4096, 4097, 65536, 262144, 262145}

// sendSizes has connections of two tiers concurrently send messages of all sizes.
func sendSizes(t *testing.T, mp metric.MeterProvider, tier func(*http.Request) string) {
	t.Helper()
	ws, err := otelws.New(otelws.WithMeterProvider(mp), otelws.WithEnum("tier", tier, "free", "pro"),
		otelws.WithAttributesOn(otelws.MessageInstruments))
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			typ, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, b) != nil {
				return
			}
		}
	})))
	var all sync.WaitGroup
	for _, tier := range []string{"free", "pro", "pro"} {
		all.Go(func() {
			ctx := context.Background()
			c, _, err := websocket.Dial(ctx, url+"?tier="+tier, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			c.SetReadLimit(1 << 20)
			for _, n := range sizesSent {
				if err := c.Write(ctx, websocket.MessageBinary, make([]byte, n)); err != nil {
					t.Error(err)
					return
				}
				if _, _, err := c.Read(ctx); err != nil {
					t.Error(err)
					return
				}
			}
			_ = c.Close(websocket.StatusNormalClosure, "")
		})
	}
	all.Wait()
}

// Messages and traffic share their counters inside. Each is reported with the
// attributes of its own group.
func TestMessagesAndTraffic(t *testing.T) {
	const messages, frames = "ws_message_bytes_count", "ws_frames_total"
	for name, c := range map[string]struct {
		groups []otelws.InstrumentGroup
		want   []string
	}{
		"neither": {nil, []string{
			`ws_message_bytes_count 5`,
			`ws_frames_total{network_io_direction="receive",opcode="binary"} 5`,
		}},
		"messages": {[]otelws.InstrumentGroup{otelws.MessageInstruments}, []string{
			`ws_message_bytes_count{tier="free"} 2`, `ws_message_bytes_count{tier="pro"} 3`,
			`ws_frames_total{network_io_direction="receive",opcode="binary"} 5`,
		}},
		"traffic": {[]otelws.InstrumentGroup{otelws.TrafficInstruments}, []string{
			`ws_message_bytes_count 5`,
			`ws_frames_total{network_io_direction="receive",opcode="binary",tier="free"} 2`,
			`ws_frames_total{network_io_direction="receive",opcode="binary",tier="pro"} 3`,
		}},
		"both": {[]otelws.InstrumentGroup{otelws.MessageInstruments, otelws.TrafficInstruments}, []string{
			`ws_message_bytes_count{tier="free"} 2`, `ws_message_bytes_count{tier="pro"} 3`,
			`ws_frames_total{network_io_direction="receive",opcode="binary",tier="free"} 2`,
			`ws_frames_total{network_io_direction="receive",opcode="binary",tier="pro"} 3`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			exp, err := exporter.New(exporter.WithoutRuntimeMetrics())
			if err != nil {
				t.Fatal(err)
			}
			ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()), otelws.WithAttributesOn(c.groups...),
				otelws.WithEnum("tier", func(r *http.Request) string { return r.URL.Query().Get("tier") }, "free", "pro"))
			if err != nil {
				t.Fatal(err)
			}
			url := serve(t, ws.Handler(coderEcho(nil)))
			for tier, n := range map[string]int{"free": 2, "pro": 3} {
				c, _, err := websocket.Dial(t.Context(), url+"?tier="+tier, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				for range n {
					if err := c.Write(t.Context(), websocket.MessageBinary, []byte("hello")); err != nil {
						t.Fatal(err)
					}
					if _, _, err := c.Read(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			var got []string
			for line := range strings.Lines(scrapeOf(t, exp)) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, messages) && !strings.HasSuffix(line, " 0") ||
					strings.HasPrefix(line, frames) && strings.Contains(line, `"receive",opcode="binary"`) && !strings.HasSuffix(line, " 0") {
					got = append(got, line)
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
