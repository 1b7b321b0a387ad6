package checklist

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// nearWords describes other names of a metric: they contain a word of some and no
// word of none.
type nearWords struct{ some, none []string }

var (
	closes   = []string{"closed", "close", "closes", "closures", "disconnect", "disconnects", "disconnected", "disconnections", "ended", "dropped"}
	failures = []string{"error", "errors", "failed", "failures", "rejected", "refused"}
	contents = []string{"message", "messages", "msg", "msgs", "bytes", "frame", "frames", "event", "events", "payload"}

	activeWords = nearWords{
		[]string{"active", "open", "current", "connected", "connections", "connection", "conns", "clients", "sockets", "sessions", "peers", "users"},
		slices.Concat(contents, failures, []string{"max", "limit"}),
	}
	openedWords = nearWords{
		[]string{"opened", "opens", "open", "accepted", "connect", "connects", "connected", "connections", "connection", "conns", "clients", "sessions", "handshakes", "upgrades"},
		slices.Concat(closes, contents, failures),
	}
	closedWords  = nearWords{closes, slices.Concat(contents, failures)}
	messageWords = nearWords{contents, []string{"sent", "send", "out", "outgoing", "transmitted", "duration", "seconds", "latency", "time"}}
	rttWords     = nearWords{[]string{"heartbeat", "ping", "pong", "rtt", "latency"}, nil}
)

// similar returns a metric that probably has the purpose of the expected one: with
// another unit or suffix, or with words of the same meaning. It returns "" if there
// is none.
func similar(s *scrape.Scrape, role string, e expectation) string {
	for _, other := range s.Names() {
		if stem(other) == stem(role+e.name) && !known(other) {
			return other
		}
	}
	if role == clientRole {
		return ""
	}
	for _, other := range s.Names() {
		if isNear(other, s.Families[other].GetType(), e) {
			return other
		}
	}
	return ""
}

func isNear(name string, typ dto.MetricType, e expectation) bool {
	sameType := typ == e.typ || typ == dto.MetricType_UNTYPED || typ == dto.MetricType_SUMMARY && e.typ == histogram
	in := func(some []string) bool {
		return slices.ContainsFunc(words(name), func(w string) bool { return slices.Contains(some, w) })
	}
	return sameType && isWebSocket(name) && !known(name) && in(e.words.some) && !in(e.words.none)
}

// units matches the suffixes for the unit or the type of a metric.
var units = regexp.MustCompile(`(_(total|count|seconds|milliseconds|microseconds|nanoseconds|millis|ms|us|ns|s|bytes|kilobytes|kb|size|ratio))+$`)

// stem is a name without its unit and type.
func stem(name string) string {
	name = strings.ToLower(strings.NewReplacer(".", "_", "-", "_").Replace(name))
	name = strings.Replace(name, "websocket_", "ws_", 1)
	return units.ReplaceAllString(name, "")
}

// known reports whether the checklist expects a metric with this name.
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

// escapeDots renames metrics with OpenTelemetry names, such as ws.connections.opened,
// to the names that the checklist expects. It returns the original names.
func escapeDots(s *scrape.Scrape) (dotted []string) {
	for _, role := range []string{serverRole, clientRole} {
		for _, e := range expected {
			for _, name := range s.Names() {
				if s.Families[role+e.name] != nil || !strings.Contains(name, ".") || stem(name) != stem(role+e.name) {
					continue
				}
				f := s.Families[name]
				delete(s.Families, name)
				f.Name = proto.String(role + e.name)
				s.Families[f.GetName()] = f
				dotted = append(dotted, name)
				for _, m := range f.GetMetric() {
					for _, l := range m.GetLabel() {
						l.Name = proto.String(strings.ReplaceAll(l.GetName(), ".", "_"))
					}
				}
			}
		}
	}
	return dotted
}

// isWebSocket reports whether a metric name mentions WebSockets.
func isWebSocket(name string) bool {
	w := words(name)
	return slices.ContainsFunc(w, func(word string) bool {
		return slices.Contains([]string{"ws", "wss", "websocket", "websockets", "socketio"}, word)
	}) || strings.Contains(strings.Join(w, " "), "socket io")
}

// hasWebSockets reports whether a scrape contains a WebSocket metric.
func hasWebSockets(s *scrape.Scrape) bool { return slices.ContainsFunc(s.Names(), isWebSocket) }

// prefixes returns the most frequent first words of the names.
func prefixes(s *scrape.Scrape) string {
	counts := map[string]int{}
	for _, name := range s.Names() {
		counts[words(name)[0]]++
	}
	first := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, word := range first {
		first[i] = fmt.Sprintf("%s_* (%d)", word, counts[word])
	}
	return enumerate(first)
}

// roles returns the prefixes of the sides, ws_ or ws_client_, for which a scrape has
// metrics.
func roles(s *scrape.Scrape) []string {
	found := map[string]bool{}
	for _, name := range s.Names() {
		if !isWebSocket(name) {
			continue
		}
		role := serverRole
		for _, e := range expected {
			if stem(name) == stem(clientRole+e.name) {
				role = clientRole
			}
		}
		found[role] = true
	}
	return slices.Sorted(maps.Keys(found))
}
