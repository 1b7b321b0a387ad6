package scrape_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

const openMetrics = `# HELP mem Help of \"mem\".
# TYPE mem gauge
# UNIT mem bytes
mem 1.0
# HELP mem Help of the counter.
# TYPE mem counter
mem_total{a="b } # {",c="\" 1"} 7.0 1700000000.123 # {trace_id="x"} 1.0 1700000000
mem_created{a="b"} 1.7e+09
# TYPE h histogram
h_bucket{le="1.0"} 2 # {trace_id="y"} 0.5
h_bucket{le="+Inf"} 3
h_sum 4.5
h_count 3
h_created 1.7e+09
# TYPE "ws.connections.opened" counter
{"ws.connections.opened_total",tier="free"} 5
# TYPE build info
build_info{version="1"} 1
# TYPE never counter
# EOF
`

func TestOpenMetrics(t *testing.T) {
	s, err := scrape.Parse([]byte(openMetrics), "application/openmetrics-text; version=1.0.0; charset=utf-8")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		typ   dto.MetricType
		help  string
		value float64
	}{
		"mem":                         {dto.MetricType_GAUGE, `Help of "mem".`, 1},
		"mem_total":                   {dto.MetricType_COUNTER, "Help of the counter.", 7},
		"ws.connections.opened_total": {dto.MetricType_COUNTER, "", 5},
		"build_info":                  {dto.MetricType_GAUGE, "", 1},
		"never_total":                 {dto.MetricType_COUNTER, "", 0},
	} {
		f := s.Families[name]
		if sum, _ := s.Sum(name); f == nil || f.GetType() != want.typ || f.GetHelp() != want.help || sum != want.value {
			t.Errorf("%s: %v, want %+v", name, f, want)
		}
	}
	if got := scrape.Label(s.Families["mem_total"].GetMetric()[0], "c"); got != `" 1` {
		t.Errorf("label c is %q", got)
	}
	if count, sum, _ := s.Histogram("h"); count != 3 || sum != 4.5 {
		t.Errorf("histogram: %d, %v", count, sum)
	}
	if len(s.Families) != 6 || !s.OpenMetrics {
		t.Errorf("%d families, want 6: %v", len(s.Families), s.Names())
	}
}

func TestOpenMetricsFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"# TYPE a counter\na_total 1\n", "cut off"},
		{"# TYPE a counter\na_total 1\na_total{ 2\n# EOF\n", "line 3"},
		{"# TYPE a counter\na_total\n# EOF\n", "line 2"},
	} {
		_, err := scrape.Parse([]byte(tt.text), "application/openmetrics-text")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// The decoder keeps declared families without samples.
func TestDeclared(t *testing.T) {
	const text = "# HELP closed_total Closes.\n# TYPE closed_total counter\n# TYPE \"ws.active\" gauge\n{\"ws.active\"} 3\n"
	s, err := scrape.Parse([]byte(text), "")
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Families["closed_total"]; f.GetType() != dto.MetricType_COUNTER || len(f.GetMetric()) != 0 || f == nil {
		t.Errorf("closed_total: %v", f)
	}
	if v, ok := s.Sum("ws.active"); v != 3 || !ok {
		t.Errorf("ws.active is %v", v)
	}
}

// The names have no underscores in place of dots: the request asks for UTF-8 names.
func TestUTF8Names(t *testing.T) {
	registry := prometheus.NewRegistry()
	opened := prometheus.NewCounter(prometheus.CounterOpts{Name: "ws.connections.opened"})
	opened.Add(7)
	registry.MustRegister(opened)
	s := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	defer s.Close()
	got, err := client(t, "", time.Minute).Get(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := got.Sum("ws.connections.opened"); v != 7 || !ok {
		t.Errorf("got %v", got.Names())
	}
}

// A label value may contain anything. The parser must not hang or panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(openMetrics))
	f.Add([]byte(metrics))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = scrape.Parse(text, "")
		_, _ = scrape.Parse(text, "application/openmetrics-text")
	})
}
