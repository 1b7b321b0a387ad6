package otelws_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// byType declares the kinds of these tests.
var byType = otelws.WithMessageKinds(messagekind.JSONMember("type"), "chat", "typing")

// kindsOf returns the samples of the counters by kind that are not 0.
func kindsOf(m *otelwstest.Metrics) string {
	var lines []string
	for line := range strings.Lines(m.Changed()) {
		if strings.Contains(line, "_messages_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

// chatMessages returns messages of all sizes, the same number of each kind.
func chatMessages() (messages []string) {
	for i := range 40 {
		padding := strings.Repeat("to be or not to be ", 1<<(i%10))
		for _, m := range []string{
			`{"type":"chat","text":"%s"}`, `{"id":[{"type":"chat"}],"type":"typing","text":"%s"}`, `{"type":"shout","text":"%s"}`,
			`{"text":"","kind":"%s"}`, `%s`,
		} {
			if strings.Contains(m, "kind") {
				padding = "" // the prefix must reach the end, to show that there is no type
			}
			messages = append(messages, fmt.Sprintf(m, padding))
		}
	}
	return messages
}

// Both ends of a connection count its messages by kind, whatever their compression. The
// sums agree with those of the histograms.
func TestMessageKinds(t *testing.T) {
	modes := map[string]websocket.CompressionMode{
		"plain": websocket.CompressionDisabled, "compressed": websocket.CompressionNoContextTakeover, "takeover": websocket.CompressionContextTakeover,
	}
	for _, name := range slices.Sorted(maps.Keys(modes)) {
		for _, more := range [][]otelws.Option{nil, {otelws.WithDecodedSizes()}} {
			t.Run(fmt.Sprintf("%s/%d", name, len(more)), func(t *testing.T) {
				t.Parallel()
				ws, m := newInstrumentation(t, append(more, byType)...)
				s := startServer(t, ws, coderEcho(&websocket.AcceptOptions{CompressionMode: modes[name], CompressionThreshold: 100}))
				ctx := t.Context()
				c, _, err := ws.Dial(ctx, s.ws(), &websocket.DialOptions{
					HTTPClient:      &http.Client{Transport: newTransport(t)},
					CompressionMode: modes[name], CompressionThreshold: 100,
				})
				if err != nil {
					t.Fatal(err)
				}
				c.SetReadLimit(readLimit)
				for _, message := range chatMessages() {
					if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
						t.Fatal(err)
					}
					if _, _, err := c.Read(ctx); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Fatal(err)
				}
				s.wait(t)
				for _, end := range []string{"ws", "ws_client"} {
					for direction, histogram := range map[string]string{"receive": "_message_bytes", "transmit": "_message_sent_bytes"} {
						var sum, bytes float64
						for kind, want := range map[string]float64{"chat": 40, "typing": 40, "other": 40, "none": 80} {
							labels := fmt.Sprintf(`{kind=%q,network_io_direction=%q}`, kind, direction)
							m.Wait(t, end+"_messages_total"+labels, want)
							size, _ := m.Value(end + "_messages_size_bytes_total" + labels)
							sum, bytes = sum+want, bytes+size
						}
						m.Wait(t, end+histogram+"_count", sum)
						m.Wait(t, end+histogram+"_sum", bytes)
					}
				}
			})
		}
	}
}

// All series of the option exist from the start, and none exists without it. The golden
// file has names, types, units and descriptions.
func TestMessageKindsScrape(t *testing.T) {
	_, plain := newInstrumentation(t)
	if got := plain.Text(); strings.Contains(got, "_messages_") {
		t.Errorf("without the option, the scrape has\n%s", got)
	}
	ws, m := newInstrumentation(t, byType, otelws.WithSizesByKind())
	everything(t, ws, m)
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	var added strings.Builder
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "_messages_") || strings.Contains(line, `kind="`) && !strings.Contains(line, `kind="typing"`) {
			added.WriteString(line)
		}
	}
	golden(t, "scrape_kinds.txt", added.String())
}

// A peer that invents kinds adds no series.
func TestMessageKindsHostile(t *testing.T) {
	const n = 10_000
	ws, m := newInstrumentation(t, byType, otelws.WithSizesByKind())
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			if _, _, err := c.Read(r.Context()); err != nil {
				return
			}
		}
	}))
	series := func() int { return strings.Count(m.Text(), "\n") }
	w := openWire(t, s)
	w.send(masked(fin|opText, `{"type":"kind"}`))
	m.Wait(t, `ws_messages_total{kind="other",network_io_direction="receive"}`, 1)
	before := series()
	var batch []byte
	for i := range n {
		batch = append(batch, masked(fin|opText, fmt.Sprintf(`{"type":"kind-%d"}`, i))...)
		if len(batch) > 1<<16 || i == n-1 {
			w.send(batch)
			batch = batch[:0]
		}
	}
	m.Wait(t, `ws_messages_total{kind="other",network_io_direction="receive"}`, n+1)
	if after := series(); after != before {
		t.Errorf("invented kinds raised %d series to %d", before, after)
	}
	w.shut()
	w.rest()
	s.wait(t)
}

// The counters by kind carry the application's attributes if the histograms of messages
// do. The same holds for sizes by kind, whether an instrument records them or the
// connections count them.
func TestMessageKindsAttributes(t *testing.T) {
	options := []otelws.Option{
		byType, otelws.WithSizesByKind(), otelws.WithEnum("tier", tier, "free", "pro"), otelws.WithAttributesOn(otelws.MessageInstruments),
	}
	exp, err := exporter.New(exporter.WithoutRuntimeMetrics())
	if err != nil {
		t.Fatal(err)
	}
	recorded := otelwstest.NewMetrics(t)
	for name, mp := range map[string]metric.MeterProvider{"recorded": recorded.MeterProvider(), "counted": exp.MeterProvider()} {
		ws, err := otelws.New(append(options, otelws.WithMeterProvider(mp))...)
		if err != nil {
			t.Fatal(err)
		}
		s := startServer(t, ws, echo)
		for range 3 {
			ctx := context.Background()
			c, _, err := websocket.Dial(ctx, s.ws()+"?tier=pro", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"typing"}`)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); err != nil {
				t.Fatal(err)
			}
			_ = c.Close(websocket.StatusNormalClosure, "")
		}
		s.wait(t)
		var text string
		if name == "counted" {
			text = scrapeOf(t, exp)
		} else {
			text = recorded.Text()
		}
		for _, want := range []string{
			`ws_messages_total{kind="typing",network_io_direction="receive",tier="pro"} 3`,
			`ws_messages_size_bytes_total{kind="typing",network_io_direction="transmit",tier="pro"} 51`,
			`ws_message_bytes_count{kind="typing",tier="pro"} 3`,
			`ws_message_bytes_sum{kind="typing",tier="pro"} 51`,
			`ws_message_sent_bytes_bucket{kind="typing",tier="pro",le="64"} 3`,
			`ws_messages_total{kind="chat",network_io_direction="receive",tier="free"} 0`,
		} {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("%s: no %s in\n%s", name, want, text)
			}
		}
	}
}

// Several Instrumentations on one MeterProvider, with kinds and without, add up. The
// counts of one stay after its Close.
func TestMessageKindsOfSeveral(t *testing.T) {
	first, m := newInstrumentation(t)
	var all []*otelws.Instrumentation
	for range 2 {
		ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), byType)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ws)
	}
	for i, ws := range append(all, first) {
		s := startServer(t, ws, echo)
		c, _, err := websocket.Dial(t.Context(), s.ws(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for range i + 1 {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"chat"}`)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
		s.wait(t)
	}
	const want = `ws_messages_size_bytes_total{kind="chat",network_io_direction="receive"} 45
ws_messages_size_bytes_total{kind="chat",network_io_direction="transmit"} 45
ws_messages_total{kind="chat",network_io_direction="receive"} 3
ws_messages_total{kind="chat",network_io_direction="transmit"} 3`
	if got := kindsOf(m); got != want {
		t.Errorf("the counters are\n%s\nwant\n%s", got, want)
	}
	if err := all[0].Close(); err != nil {
		t.Fatal(err)
	}
	if got := kindsOf(m); got != want {
		t.Errorf("after the Close of one, the counters are\n%s\nwant\n%s", got, want)
	}
}

func TestMessageKindsRefused(t *testing.T) {
	for _, tt := range []struct {
		options []otelws.Option
		want    string
	}{
		{[]otelws.Option{otelws.WithMessageKinds(messagekind.JSONMember("type"))}, "message kinds: JSONMember has no kinds of its own: declare"},
		{[]otelws.Option{otelws.WithMessageKinds(messagekind.Reader{}, "a")}, "message kinds: the zero Reader"},
		{[]otelws.Option{byType, byType}, "message kinds are declared twice"},
		{[]otelws.Option{otelws.WithSizesByKind()}, "WithSizesByKind has no kinds: declare them with WithMessageKinds"},
		{[]otelws.Option{byType, otelws.WithEnum("kind", nil, "a")}, "label kind is already in use by WithMessageKinds"},
	} {
		m := otelwstest.NewMetrics(t)
		_, err := otelws.New(append(tt.options, otelws.WithMeterProvider(m.MeterProvider()))...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v does not contain %q", err, tt.want)
		}
	}
	if _, err := otelws.New(otelws.WithMeterProvider(otelwstest.NewMetrics(t).MeterProvider()), otelws.WithEnum("kind", nil, "a")); err != nil {
		t.Errorf("without message kinds, an attribute named kind: %v", err)
	}
}

// BenchmarkMessageKinds measures the round trip of a JSON message of 200 bytes over
// loopback TCP, with ten kinds and without, for each mode of compression. The cost of
// the client, which is not instrumented, is part of it.
func BenchmarkMessageKinds(b *testing.B) {
	on := otelws.WithMessageKinds(messagekind.JSONMember("type"), strings.Fields("join leave chat typing position score ready start pause stop")...)
	message := `{"id":12345,"type":"position","lat":52.51627,"lon":13.37770,"text":"`
	message += strings.Repeat("to be or not to be ", 7)[:198-len(message)] + `"}`
	for _, mode := range []struct {
		name string
		mode websocket.CompressionMode
	}{{"Plain", websocket.CompressionDisabled}, {"Alone", websocket.CompressionNoContextTakeover}, {"Takeover", websocket.CompressionContextTakeover}} {
		for name, opts := range map[string][]otelws.Option{"Off": nil, "On": {on}} {
			b.Run(mode.name+"/"+name, func(b *testing.B) {
				ctx := context.Background()
				ws, _ := newInstrumentation(b, opts...)
				echo := coderEcho(&websocket.AcceptOptions{CompressionMode: mode.mode, CompressionThreshold: 1})
				c, _, err := websocket.Dial(ctx, serve(b, ws.Handler(echo)), &websocket.DialOptions{CompressionMode: mode.mode, CompressionThreshold: 1})
				if err != nil {
					b.Fatal(err)
				}
				defer c.CloseNow()
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
						b.Fatal(err)
					}
					if _, _, err := c.Read(ctx); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric((cpuTime(b)-before).Seconds()*1e6/float64(b.N), "cpu-µs/op")
			})
		}
	}
}
