package checklist

import (
	"context"
	"fmt"
	"mime"
	"regexp"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// expectation is a metric that a WebSocket server should have, without the
// prefix of its role.
type expectation struct {
	name   string
	typ    dto.MetricType
	core   bool      // one of the five that every server should have
	bounds []float64 // the conventional buckets
	// nothing is whether the scrape shows that there was nothing to record
	// yet: the OpenTelemetry SDK has no histogram before its first value.
	nothing func(s *scrape.Scrape, role string) bool
}

var (
	sizeBounds      = []float64{64, 256, 1024, 4096, 16384, 65536, 262144}
	rttBounds       = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	durationBounds  = []float64{1, 5, 15, 60, 300, 900, 3600, 14400, 43200, 86400}
	handshakeBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
)

var expected = []expectation{
	{"connections_active", dto.MetricType_GAUGE, true, nil, never},
	{"connections_opened_total", dto.MetricType_COUNTER, true, nil, never},
	{"connections_closed_total", dto.MetricType_COUNTER, true, nil, never},
	{"message_bytes", dto.MetricType_HISTOGRAM, true, sizeBounds, noFrames("receive", "text", "binary")},
	{"heartbeat_rtt_seconds", dto.MetricType_HISTOGRAM, true, rttBounds, noFrames("receive", "pong")},
	{"message_sent_bytes", dto.MetricType_HISTOGRAM, false, sizeBounds, noFrames("transmit", "text", "binary")},
	{"heartbeat_missed_total", dto.MetricType_COUNTER, false, nil, never},
	{"connection_duration_seconds", dto.MetricType_HISTOGRAM, false, durationBounds, zero("connections_closed_total")},
	{"handshake_duration_seconds", dto.MetricType_HISTOGRAM, false, handshakeBounds, zero("connections_opened_total")},
	{"frames_total", dto.MetricType_COUNTER, false, nil, never},
	{"io_bytes_total", dto.MetricType_COUNTER, false, nil, never},
	{"write_time_seconds_total", dto.MetricType_COUNTER, false, nil, never},
	{"protocol_errors_total", dto.MetricType_COUNTER, false, nil, never},
}

const (
	serverRole = "ws_"
	clientRole = "ws_client_"
)

func never(*scrape.Scrape, string) bool { return false }

func zero(name string) func(*scrape.Scrape, string) bool {
	return func(s *scrape.Scrape, role string) bool {
		n, ok := s.Sum(role + name)
		return ok && n == 0
	}
}

// noFrames is for what is recorded with frames of the opcodes.
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

// roles are those of which the scrape has anything, else the server's.
func roles(s *scrape.Scrape) (found []string) {
	var server, client bool
	for name := range s.Families {
		switch name = strings.ReplaceAll(name, ".", "_"); {
		case strings.HasPrefix(name, clientRole):
			client = true
		case strings.HasPrefix(name, serverRole):
			server = true
		}
	}
	if server || !client {
		found = append(found, serverRole)
	}
	if client {
		found = append(found, clientRole)
	}
	return found
}

func checkScrape(_ context.Context, s *subject, i *Item) {
	i.ok("%d series in %d metrics, %d kB, %s", s.now.Series(), len(s.now.Families), (s.now.Bytes+999)/1000, form(s.now))
	if !scrape.IsURL(s.Sources[len(s.Sources)-1]) {
		return
	}
	media, _, err := mime.ParseMediaType(s.now.ContentType)
	if err != nil || media != "text/plain" && media != expfmt.OpenMetricsType {
		i.add(Warning, fmt.Sprintf("the Content-Type is %q, with which Prometheus 3 refuses a scrape", s.now.ContentType),
			"Send text/plain; version=0.0.4")
	}
	if n := s.now.Series(); n > 10_000 {
		i.add(Warning, fmt.Sprintf("%d series of one process", n), "See which metrics have most of them, and drop labels")
	}
}

func form(s *scrape.Scrape) string {
	if strings.HasPrefix(s.ContentType, expfmt.OpenMetricsType) {
		return "OpenMetrics"
	}
	return "text"
}

func checkSeries(_ context.Context, s *subject, i *Item) {
	there, yet := 0, []string{}
	for _, role := range s.roles {
		further := false
		for _, e := range expected {
			if f := s.now.Families[role+e.name]; f != nil && !e.core {
				further = true
			}
		}
		for _, e := range expected {
			name := role + e.name
			f := s.now.Families[name]
			switch {
			case f != nil && len(f.GetMetric()) > 0:
				there++
				checkType(i, name, e, f)
			case e.nothing(s.now, role) && similar(s.now, name) == "":
				yet = append(yet, name)
			case e.core || further:
				missing(i, s, name, e)
			}
		}
	}
	summary := fmt.Sprintf("all %d that can be expected are there", there)
	if len(yet) > 0 {
		summary += "; nothing was recorded yet for " + strings.Join(yet, ", ")
	}
	i.ok("%s", summary)
}

func checkType(i *Item, name string, e expectation, f *dto.MetricFamily) {
	if f.GetType() == e.typ {
		return
	}
	got, want := typeName(f.GetType()), typeName(e.typ)
	advice := "Make it a " + want
	switch {
	case f.GetType() == dto.MetricType_UNTYPED:
		i.add(Warning, name+" has no type, and should be a "+want, "Say so in a # TYPE line", name)
		return
	case f.GetType() == dto.MetricType_SUMMARY:
		advice += ": the quantiles of instances can't be added up"
	}
	i.add(Failed, fmt.Sprintf("%s is a %s, and should be a %s", name, got, want), advice, name)
}

func typeName(t dto.MetricType) string { return strings.ToLower(t.String()) }

func missing(i *Item, s *subject, name string, e expectation) {
	status := Failed
	if !e.core {
		status = Warning
	}
	if other := similar(s.now, name); other != "" {
		i.add(status, fmt.Sprintf("%s is missing; there is %s", name, other),
			"Name it "+name+", in base units, as dashboards and alerts expect it", name)
		return
	}
	why, advice := name+" is missing", fmt.Sprintf("Add the %s", typeName(e.typ))
	if e.typ == dto.MetricType_HISTOGRAM {
		advice += ", and record it also before there is a dashboard"
	}
	if strings.HasSuffix(e.name, "heartbeat_rtt_seconds") {
		advice = "Ping the clients, and record the time to the pong: nothing else shows a slow or vanished one"
	}
	i.add(status, why, advice, name)
}

var variations = regexp.MustCompile(`(_(total|count|seconds|milliseconds|microseconds|nanoseconds|millis|ms|us|ns|s|bytes|kilobytes|kb|size|connections|ratio))+$`)

// stem is a name without its unit and type.
func stem(name string) string {
	name = strings.ToLower(strings.NewReplacer(".", "_", "-", "_").Replace(name))
	name = strings.Replace(name, "websocket_", "ws_", 1)
	return variations.ReplaceAllString(name, "")
}

// similar finds a metric that is probably meant to be the one called name.
func similar(s *scrape.Scrape, name string) string {
	for _, other := range s.Names() {
		if other != name && stem(other) == stem(name) && !known(other) {
			return other
		}
	}
	return ""
}

func known(name string) bool {
	for _, role := range []string{serverRole, clientRole} {
		for _, e := range expected {
			if name == role+e.name {
				return true
			}
		}
	}
	return false
}
