package checklist

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// The numbers of values above which a label gets a finding.
const (
	manyValues    = 100
	tooManyValues = 1000
	manyCodes     = 30 // the registered close codes and some private ones
)

// labelUse holds the metrics and the values of a label.
type labelUse struct {
	metrics []string
	series  int
	values  map[string]struct{}
}

func checkLabels(_ context.Context, s *subject, i *Item) {
	labels := map[string]*labelUse{}
	for _, name := range s.now.Names() {
		// An info metric has one series per process, with constant labels.
		if name == "target_info" || strings.HasSuffix(name, "_info") {
			continue
		}
		collect(labels, name, s.now.Families[name])
	}
	widest := ""
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		u := labels[label]
		if widest == "" || len(u.values) > len(labels[widest].values) {
			widest = label
		}
		judge(i, label, u)
	}
	if widest == "" {
		i.ok("no metric has labels")
		return
	}
	i.ok("%s, none of them with many values; %s has the most: %d", several(len(labels), "label"), widest, len(labels[widest].values))
}

func collect(labels map[string]*labelUse, name string, f *dto.MetricFamily) {
	for _, label := range labelNames(f) {
		u := labels[label]
		if u == nil {
			u = &labelUse{values: map[string]struct{}{}}
			labels[label] = u
		}
		u.metrics = append(u.metrics, name)
		for _, m := range f.GetMetric() {
			if v := scrape.Label(m, label); v != "" {
				u.values[v] = struct{}{}
				u.series += scrape.Series(f, m)
			}
		}
	}
}

func judge(i *Item, label string, u *labelUse) {
	if overflowed(i, label, u) {
		return
	}
	n := len(u.values)
	where := fmt.Sprintf("label %s of %s has %s, in %d series", label, enumerate(u.metrics), several(n, "value"), u.series)
	const advice = "Remove the label, or map it to a few declared values. Prometheus keeps a series for each value. Identify users in logs and traces instead"
	person, kind := namesSubject(label), looksLike(u.values)
	switch {
	case person && (n > 1 || kind != ""):
		i.add(Failed, where+". Its name suggests a value per "+subjectOf(label), advice, u.metrics...)
	case kind != "" && n > 1:
		i.add(Failed, where+". They look like "+kind, advice, u.metrics...)
	case n > tooManyValues:
		i.add(Failed, where, advice, u.metrics...)
	case person || kind != "":
		i.add(Warning, where+". They may become many", advice, u.metrics...)
	case n > manyValues:
		i.add(Warning, where, advice, u.metrics...)
	case label == "code" && n > manyCodes:
		i.add(Warning, where, "Clients choose close codes from 3000 to 4999. Record the codes that you declared, and map the others to one value", u.metrics...)
	}
}

// subjects are words in a label name that suggest an unbounded number of values, such
// as one per user.
var subjects = []string{
	"user", "username", "userid", "uid", "session", "sessionid", "sid", "client", "clientid", "customer", "account",
	"member", "player", "visitor", "device", "request", "req", "trace", "span", "message", "msg",
	"connection", "conn", "connid", "socket", "socketid", "peer", "correlation", "transaction", "token",
	"ip", "email", "uuid", "guid", "room", "channel", "topic", "phone",
}

// sufficient are the subjects that suggest it without a second word. The others need
// an identifier as the last word.
var sufficient = []string{
	"user", "username", "userid", "uid", "session", "sessionid", "sid", "clientid", "connid", "socketid",
	"ip", "email", "uuid", "guid", "token", "phone",
}

var identifiers = []string{"id", "ip", "address", "addr", "name", "key", "uuid", "email"}

// bounded are names that contain a subject but have few values.
var bounded = []string{"user_agent_type", "session_state", "user_type", "user_tier", "user_role", "session_type", "peer_service"}

func namesSubject(label string) bool {
	words := words(label)
	if slices.Contains(bounded, strings.Join(words, "_")) {
		return false
	}
	last := words[len(words)-1]
	for _, w := range words[:len(words)-1] {
		if slices.Contains(subjects, w) && slices.Contains(identifiers, last) {
			return true
		}
	}
	return slices.Contains(sufficient, last) || slices.Equal(words, []string{"remote", "addr"}) || slices.Equal(words, []string{"remote", "address"})
}

// subjectOf returns the subject in a label name, for a message.
func subjectOf(label string) string {
	for _, w := range words(label) {
		if slices.Contains(subjects, w) {
			return strings.TrimSuffix(w, "id")
		}
	}
	return "address"
}

// words splits snake_case, camelCase and dotted names.
func words(label string) []string {
	var b strings.Builder
	lower := false
	for _, r := range label {
		if unicode.IsUpper(r) && lower {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		if r == '_' || r == '.' || r == '-' || r == '/' {
			r = ' '
		}
		b.WriteRune(unicode.ToLower(r))
	}
	if found := strings.Fields(b.String()); len(found) > 0 {
		return found
	}
	return []string{label}
}

var patterns = []struct {
	kind  string
	match func(string) bool
}{
	{"UUIDs", regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).MatchString},
	{"IP addresses", isAddress},
	{"e-mail addresses", regexp.MustCompile(`^[^@\s/]+@[^@\s/]+\.[^@\s/]+$`).MatchString},
	{"hashes or keys", regexp.MustCompile(`^([0-9a-f]{16,}|[0-9A-F]{16,}|[0-9A-HJKMNP-TV-Z]{26})$`).MatchString},
	{"identifying numbers", regexp.MustCompile(`(^|[^0-9.])[0-9]{5,}$`).MatchString},
}

func isAddress(v string) bool {
	if _, err := netip.ParseAddr(v); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(v)
	return err == nil
}

// looksLike returns the pattern that at least half of the values match, or "".
func looksLike(values map[string]struct{}) string {
	for _, p := range patterns {
		n := 0
		for v := range values {
			if p.match(v) {
				n++
			}
		}
		if n > 0 && 2*n >= len(values) {
			return p.kind
		}
	}
	return ""
}
