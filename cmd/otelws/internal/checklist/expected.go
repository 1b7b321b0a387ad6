package checklist

import (
	"context"
	"fmt"
	"mime"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// expectation is a metric that a WebSocket server should have.
type expectation struct {
	name   string // without the prefix for the role
	typ    dto.MetricType
	core   bool      // one of the five that every server should have
	bounds []float64 // the conventional buckets
	// notYet reports whether nothing has happened that the metric counts. Many
	// libraries show a metric only after its first value.
	notYet func(s *scrape.Scrape, role string) bool
	words  nearWords
}

var (
	sizeBounds      = []float64{64, 256, 1024, 4096, 16384, 65536, 262144}
	rttBounds       = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	durationBounds  = []float64{1, 5, 15, 45, 60, 300, 900, 3600, 14400, 43200, 86400}
	idleBounds      = []float64{5, 28, 32, 54, 58, 63, 97, 105, 235, 245, 345, 355, 590, 610, 3600}
	handshakeBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
)

const (
	gauge     = dto.MetricType_GAUGE
	counter   = dto.MetricType_COUNTER
	histogram = dto.MetricType_HISTOGRAM
)

var expected = []expectation{
	{"connections_active", gauge, true, nil, never, activeWords},
	{"connections_opened_total", counter, true, nil, noneActive, openedWords},
	{"connections_closed_total", counter, true, nil, noneEnded, closedWords},
	{"message_bytes", histogram, true, sizeBounds, noFrames("receive", "text", "binary"), messageWords},
	{"heartbeat_rtt_seconds", histogram, true, rttBounds, noFrames("receive", "pong"), rttWords},
	{"message_sent_bytes", histogram, false, sizeBounds, noFrames("transmit", "text", "binary"), nearWords{}},
	{"heartbeat_missed_total", counter, false, nil, never, nearWords{}},
	{"connection_duration_seconds", histogram, false, durationBounds, zero("connections_closed_total"), nearWords{}},
	{idleName, histogram, false, idleBounds, zero("connections_closed_total"), nearWords{}},
	{"handshake_duration_seconds", histogram, false, handshakeBounds, zero("connections_opened_total"), nearWords{}},
	{"frames_total", counter, false, nil, never, nearWords{}},
	{"io_bytes_total", counter, false, nil, never, nearWords{}},
	{"write_time_seconds_total", counter, false, nil, never, nearWords{}},
	{"drain_connections_total", counter, false, nil, never, nearWords{}},
	{"protocol_errors_total", counter, false, nil, never, nearWords{}},
}

// optional are metrics that exist only if the user enabled them.
var optional = []expectation{
	{"messages_total", counter, false, nil, never, nearWords{}},
	{"messages_size_bytes_total", counter, false, nil, never, nearWords{}},
}

const (
	serverRole = "ws_"
	clientRole = "ws_client_"
)

// idleName is the histogram of the silence before the end of a connection.
const idleName = "connection_idle_seconds"

func never(*scrape.Scrape, string) bool { return false }

// zero returns a notYet function: the counter exists, and is 0 or has no series.
func zero(name string) func(*scrape.Scrape, string) bool {
	return func(s *scrape.Scrape, role string) bool {
		n, _ := s.Sum(role + name)
		return s.Families[role+name] != nil && n == 0
	}
}

func noneActive(s *scrape.Scrape, role string) bool {
	n, ok := s.Sum(role + "connections_active")
	return ok && n == 0
}

// noneEnded reports whether all opened connections are still open.
func noneEnded(s *scrape.Scrape, role string) bool {
	active, ok := s.Sum(role + "connections_active")
	opened, _ := s.Sum(role + "connections_opened_total")
	return ok && s.Families[role+"connections_opened_total"] != nil && active == opened
}

// noFrames returns a notYet function for a metric of frames with these opcodes.
func noFrames(direction string, opcodes ...string) func(*scrape.Scrape, string) bool {
	return func(s *scrape.Scrape, role string) bool {
		if zero("connections_opened_total")(s, role) {
			return true
		}
		for _, opcode := range opcodes {
			n, ok := s.Sum(role+"frames_total", "network_io_direction", direction, "opcode", opcode)
			if !ok || n > 0 {
				return false
			}
		}
		return true
	}
}

func checkScrape(_ context.Context, s *subject, i *Item) {
	i.ok("%d series in %d metrics, %d kB, %s", s.now.Series(), len(s.now.Families), (s.now.Bytes+999)/1000, form(s.now))
	if !scrape.IsURL(s.Sources[len(s.Sources)-1]) {
		return
	}
	media, _, err := mime.ParseMediaType(s.now.ContentType)
	if err != nil || media != "text/plain" && media != expfmt.OpenMetricsType {
		i.add(Warning, fmt.Sprintf("Prometheus 3 rejects a scrape with the Content-Type %q", s.now.ContentType),
			"Send Content-Type: text/plain; version=0.0.4")
	}
	if n := s.now.Series(); n > 10_000 {
		i.add(Warning, fmt.Sprintf("this process alone has %d series", n), "Find the metrics with the most series, and drop labels")
	}
}

func form(s *scrape.Scrape) string {
	if s.OpenMetrics {
		return "OpenMetrics"
	}
	return "text"
}

func checkSeries(_ context.Context, s *subject, i *Item) {
	if len(s.dotted) > 0 {
		i.add(Warning, "Prometheus stores the names with their dots: "+enumerate(s.dotted),
			"Dashboards and alerts expect names with underscores. Set the translation strategy of the OpenTelemetry exporter to UnderscoreEscapingWithSuffixes",
			s.dotted...)
	}
	there, yet := 0, []string{}
	for _, role := range s.roles {
		further := slices.ContainsFunc(expected, func(e expectation) bool { return !e.core && s.now.Families[role+e.name] != nil })
		for _, e := range expected {
			name := role + e.name
			f, meant := s.now.Families[name], ""
			if f == nil {
				meant = similar(s.now, role, e)
			}
			switch {
			case f != nil && len(f.GetMetric()) > 0:
				there++
				checkType(i, name, e, f)
			case meant != "":
				misnamed(i, s, name, meant, e)
			case f != nil && e.typ == counter:
				i.add(Warning, name+" is declared, but has no series yet", initialise(e), name)
			case f != nil:
				yet = append(yet, name)
			case e.notYet(s.now, role) && e.typ == counter:
				i.add(Warning, name+" is missing, perhaps because there was nothing to count yet", initialise(e), name)
			case e.notYet(s.now, role):
				yet = append(yet, name)
			case e.core || further:
				missing(i, s.now, name, e)
			}
		}
		for _, e := range optional {
			if f := s.now.Families[role+e.name]; len(f.GetMetric()) > 0 {
				there++
				checkType(i, role+e.name, e, f)
				checkKinds(i, role+e.name, f)
			}
		}
	}
	summary := fmt.Sprintf("%s: no expected metric is missing", several(there, "metric"))
	if len(yet) > 0 {
		summary += "; no values yet for " + strings.Join(yet, ", ")
	}
	i.ok("%s", summary)
}

// initialise returns the advice to create the series of a counter at the start.
func initialise(e expectation) string {
	const why = ", since rate() cannot see a series that begins at 1"
	if strings.HasSuffix(e.name, "closed_total") {
		return `When the process starts, add 0 for the codes 1000, 1001, 1005 and 1006` + why +
			`. In prom-client: closed.inc({ code: "1006" }, 0). In client_golang: closed.WithLabelValues("1006")`
	}
	return "When the process starts, add 0 for each set of labels" + why
}

func checkType(i *Item, name string, e expectation, f *dto.MetricFamily) {
	if f.GetType() == e.typ {
		return
	}
	got, want := typeName(f.GetType()), typeName(e.typ)
	advice := "Make it a " + want
	switch {
	case f.GetType() == dto.MetricType_UNTYPED:
		i.add(Warning, fmt.Sprintf("%s has no type", name), fmt.Sprintf("Declare it with the line: # TYPE %s %s", name, want), name)
		return
	case f.GetType() == dto.MetricType_SUMMARY:
		advice += ": the quantiles of several instances cannot be aggregated"
	}
	i.add(Failed, fmt.Sprintf("%s is a %s, but must be a %s", name, got, want), advice, name)
}

func typeName(t dto.MetricType) string { return strings.ToLower(t.String()) }

func missing(i *Item, s *scrape.Scrape, name string, e expectation) {
	advice := fmt.Sprintf("Add the %s", typeName(e.typ))
	if e.name == "heartbeat_rtt_seconds" {
		advice = "Ping the clients, and record the time until the pong. No other metric shows slow clients and clients that vanished"
	}
	if e.typ == histogram && isOpenTelemetry(s) {
		i.add(Warning, name+" is missing. Either it has no value yet, or nothing records it", advice, name)
		return
	}
	i.add(e.severity(), name+" is missing", advice, name)
}

// isOpenTelemetry reports whether the metrics come from an OpenTelemetry SDK. The SDK
// shows a metric only after its first value.
func isOpenTelemetry(s *scrape.Scrape) bool {
	if s.Families["target_info"] != nil {
		return true
	}
	for _, f := range s.Families {
		if slices.Contains(labelNames(f), "otel_scope_name") {
			return true
		}
	}
	return false
}

func misnamed(i *Item, s *subject, name, meant string, e expectation) {
	advice := "Rename it: dashboards and alerts expect " + name
	if got := s.now.Families[meant].GetType(); got != e.typ && got != dto.MetricType_UNTYPED {
		advice += fmt.Sprintf(" as a %s", typeName(e.typ))
	}
	i.add(e.severity(), fmt.Sprintf("%s is missing. Perhaps %s has its purpose", name, meant), advice, name, meant)
}

func (e expectation) severity() Status {
	if e.core {
		return Failed
	}
	return Warning
}
