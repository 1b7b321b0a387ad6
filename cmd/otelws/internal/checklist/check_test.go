package checklist_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/cmd/otelws/internal/checklist"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(t *testing.T, sources ...string) checklist.Options {
	t.Helper()
	c, err := scrape.NewClient("", 20*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	return checklist.Options{Sources: sources, Interval: time.Millisecond, Client: c}
}

func run(t *testing.T, o checklist.Options) *checklist.Report {
	t.Helper()
	r, err := checklist.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *checklist.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b, false, 100); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sound is a scrape without faults. Each test replaces a part of it, so that each
// golden file shows the effect of one fault.
func sound(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/sound.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for n := 0; n < len(pairs); n += 2 {
		if !strings.Contains(text, pairs[n]) {
			t.Fatalf("the scrape lacks %q", pairs[n])
		}
		text = strings.ReplaceAll(text, pairs[n], pairs[n+1])
	}
	return text
}

// byKind is the counter of messages by kind.
func byKind(typ, label string, chat, other int) string {
	return fmt.Sprintf("# HELP ws_messages_total Messages, by direction and kind.\n# TYPE ws_messages_total %s\n"+
		"ws_messages_total{%[2]s=\"chat\",network_io_direction=\"receive\"} %[3]d\n"+
		"ws_messages_total{%[2]s=\"other\",network_io_direction=\"receive\"} %[4]d\n"+
		"ws_messages_total{%[2]s=\"none\",network_io_direction=\"receive\"} 10\n", typ, label, chat, other)
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		idle   bool
		before []string // replacements in the older scrape; nil means there is none
		now    []string
		status checklist.Status
	}{
		{name: "sound", status: checklist.OK},
		{name: "sound_twice", before: []string{"process_cpu_seconds_total 3", "process_cpu_seconds_total 2"}, status: checklist.OK},
		{name: "missing", now: []string{"ws_heartbeat_rtt_seconds", "app_rtt_seconds"}, status: checklist.Failed},
		{name: "opentelemetry", now: []string{"ws_heartbeat_rtt_seconds", "app_rtt_seconds", "app_jobs_total 7", "app_jobs_total{otel_scope_name=\"app\"} 7"}, status: checklist.Warning},
		{name: "no_total", now: []string{"ws_connections_opened_total", "ws_connections_opened"}, status: checklist.Failed},
		{name: "summary", now: []string{"TYPE ws_connections_active gauge", "TYPE ws_connections_active counter"}, status: checklist.Failed},
		{name: "no_process", now: []string{"process_", "proc_"}, status: checklist.Warning},
		{name: "descriptors", now: []string{"process_open_fds 30", "process_open_fds 900"}, status: checklist.Warning},
		{name: "descriptors_full", now: []string{"process_open_fds 30", "process_open_fds 1000"}, status: checklist.Failed},
		{name: "drift", now: []string{"ws_connections_active 5", "ws_connections_active 9"}, status: checklist.Failed},
		{name: "drift_once", before: []string{}, now: []string{"ws_connections_active 5", "ws_connections_active 9"}, status: checklist.Warning},
		{name: "below_zero", now: []string{"ws_connections_active 5", "ws_connections_active -5"}, status: checklist.Failed},
		{name: "more_than_descriptors", now: []string{"process_open_fds 30", "process_open_fds 3"}, status: checklist.Failed},
		{name: "idle", idle: true, status: checklist.Failed},
		{name: "backwards", before: []string{"ws_connections_opened_total 100", "ws_connections_opened_total 120"}, status: checklist.Failed},
		{name: "another_process", before: []string{"process_start_time_seconds 1.7", "process_start_time_seconds 1.6"}, status: checklist.Warning},
		{name: "first_bucket", now: []string{`le="0.005"} 20`, `le="0.005"} 40`, `le="0.05"} 38`, `le="0.05"} 40`}, status: checklist.Failed},
		{name: "short_messages", now: []string{`le="64"} 10`, `le="64"} 120`, `le="256"} 60`, `le="256"} 120`, `le="1024"} 110`, `le="1024"} 120`}, status: checklist.OK},
		{name: "declared", now: []string{"ws_connections_closed_total{code=\"1000\"} 80\nws_connections_closed_total{code=\"1006\"} 15\n", "", "ws_connections_active 5", "ws_connections_active 100", "process_open_fds 30", "process_open_fds 130"}, status: checklist.Warning},
		{name: "not_there_yet", now: []string{"ws_connections_closed_total", "app_closed_total", "ws_connections_active 5", "ws_connections_active 100", "process_open_fds 30", "process_open_fds 130"}, status: checklist.Warning},
		{name: "never_closed", now: []string{"ws_connections_closed_total", "app_closed_total"}, status: checklist.Failed},
		{name: "near_names", now: []string{"ws_connections_opened_total", "websocket_connections_total", "ws_connections_active", "ws_clients",
			"ws_connections_closed_total", "chat_ws_disconnects_total", "ws_message_bytes", "websocket_message_size_bytes", "ws_heartbeat_rtt_seconds", "websocket_ping_latency_ms"}, status: checklist.Failed},
		{name: "infinity", now: []string{`le="0.005"} 20`, `le="0.005"} 0`, `le="0.05"} 38`, `le="0.05"} 0`, `le="2.5"} 40`, `le="2.5"} 0`, "rtt_seconds_sum 0.31", "rtt_seconds_sum 1240"}, status: checklist.Failed},
		{name: "not_cumulative", now: []string{`le="256"} 60`, `le="256"} 6`}, status: checklist.Failed},
		{name: "kinds", now: []string{"# HELP ws_heartbeat_rtt", byKind("counter", "kind", 80, 30) + "# HELP ws_heartbeat_rtt"}, status: checklist.OK},
		{name: "kinds_other", now: []string{"# HELP ws_heartbeat_rtt", byKind("counter", "kind", 30, 80) + "# HELP ws_heartbeat_rtt"}, status: checklist.Warning},
		{name: "kinds_unlabelled", now: []string{"# HELP ws_heartbeat_rtt", byKind("gauge", "type", 80, 30) + "# HELP ws_heartbeat_rtt"}, status: checklist.Failed},
		{name: "camel_case", now: []string{"app_jobs", "appJobs"}, status: checklist.Warning},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "now.txt")
			write(t, path, replaced(t, sound(t), tt.now...))
			o := options(t, path)
			o.Idle = tt.idle
			if tt.before != nil {
				older := filepath.Join(dir, "before.txt")
				write(t, older, replaced(t, sound(t), tt.before...))
				o.Sources = []string{older, path}
			}
			r := run(t, o)
			if r.Status != tt.status {
				t.Errorf("status %v, want %v", r.Status, tt.status)
			}
			golden(t, tt.name, strings.ReplaceAll(text(t, r), dir+"/", ""))
		})
	}
}

// An endpoint without WebSocket metrics gets one line, which asks whether the address
// is right.
func TestOtherEndpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.txt")
	write(t, path, replaced(t, sound(t), "ws_", "node_"))
	r, err := checklist.Run(t.Context(), options(t, path))
	if err == nil {
		t.Fatalf("no error, and\n%s", text(t, r))
	}
	for _, want := range []string{path, "right address?", "11 metrics", "node_* (5), process_* (5), app_* (1)"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

// The summary counts the lines, and no line is wider than the limit.
func TestText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.txt")
	write(t, path, replaced(t, sound(t), "ws_", "other_websocket_", "process_", "proc_"))
	r := run(t, options(t, path))
	var b strings.Builder
	if err := r.WriteText(&b, false, 70); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 70 && !strings.Contains(line, path) {
			t.Errorf("%d columns: %s", n, line)
		}
		if word, _, _ := strings.Cut(line, " "); word != "" {
			counts[word]++
		}
	}
	want := fmt.Sprintf(": %d failed, %d warning, %d ok, %d skipped\n", counts["failed"], counts["warning"], counts["ok"], counts["skipped"])
	if counts["failed"] != 5 || !strings.HasSuffix(b.String(), want) {
		t.Errorf("want %q at the end of\n%s", want, b.String())
	}
}

func TestLabels(t *testing.T) {
	for _, tt := range []struct {
		label  string
		values []string
		want   checklist.Status
	}{
		{"http_route", []string{"/chat/{room}", "/echo"}, checklist.OK},
		{"tier", []string{"free", "pro"}, checklist.OK},
		{"network_io_direction", []string{"receive", "transmit"}, checklist.OK},
		{"pod", []string{"web-0"}, checklist.OK},
		{"user_type", []string{"guest", "member"}, checklist.OK},
		{"user", []string{"ann", "bob"}, checklist.Failed},
		{"userId", []string{"1", "2"}, checklist.Failed},
		{"session.id", []string{"a", "b"}, checklist.Failed},
		{"session_id", []string{"a"}, checklist.Warning},
		{"remote_addr", []string{"x", "y"}, checklist.Failed},
		{"from", []string{"192.0.2.7", "192.0.2.8:1234"}, checklist.Failed},
		{"from", []string{"2001:db8::1", "2001:db8::2"}, checklist.Failed},
		{"who", []string{"0188d0e3-7a5c-4b6e-9b53-c0f53a2b4b1a", "0288d0e3-7a5c-4b6e-9b53-c0f53a2b4b1a"}, checklist.Failed},
		{"who", []string{"a@example.com", "b@example.com"}, checklist.Failed},
		{"key", []string{"0123456789abcdef0123", "1123456789abcdef0123"}, checklist.Failed},
		{"which", []string{"order-100001", "order-100002"}, checklist.Failed},
		{"shard", count(101), checklist.Warning},
		{"shard", count(1001), checklist.Failed},
		{"code", count(31), checklist.Warning},
	} {
		t.Run(tt.label+" "+tt.values[0], func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "scrape.txt")
			var b strings.Builder
			b.WriteString(sound(t) + "# HELP app_things_total Things.\n# TYPE app_things_total counter\n")
			for _, v := range tt.values {
				name := strings.ReplaceAll(tt.label, ".", "_")
				b.WriteString("app_things_total{" + name + `="` + v + "\"} 1\n")
			}
			write(t, path, b.String())
			i := item(t, run(t, options(t, path)), "labels")
			if i.Status != tt.want {
				t.Errorf("%+v, want %v", i, tt.want)
			}
		})
	}
}

func count(n int) (values []string) {
	for v := range n {
		values = append(values, "v"+string(rune('a'+v%26))+string(rune('a'+v/26%26))+string(rune('a'+v/676)))
	}
	return values
}

func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scrape.txt")
	write(t, path, replaced(t, sound(t), "ws_connections_active 5", "ws_connections_active 9"))
	var b strings.Builder
	if err := run(t, options(t, path)).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Target, Status string
		Series         int
		Items          []struct {
			Name, Status, Summary string
			Findings              []struct {
				Status, Why, Advice string
				Metrics             []string
			}
		}
	}
	d := json.NewDecoder(strings.NewReader(b.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Target != path || got.Status != "failed" || got.Series == 0 || len(got.Items) != 12 {
		t.Errorf("got %+v", got)
	}
	c := got.Items[3]
	if c.Name != "conservation" || c.Status != "failed" || len(c.Findings) != 1 || len(c.Findings[0].Metrics) != 3 || c.Findings[0].Advice == "" {
		t.Errorf("got %+v", c)
	}
}

// A proxy stands in for the public address, so nothing leaves the machine.
func TestPublicAddress(t *testing.T) {
	body := sound(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = w.Write([]byte(body))
			return
		}
		http.NotFound(w, r)
	}))
	defer proxy.Close()
	for _, tt := range []struct {
		host, config string
		want         checklist.Status
	}{
		{"203.0.113.7:9091", "", checklist.Failed},
		{"203.0.113.7:9091", "basic_auth: {username: a, password: b}\n", checklist.Warning},
		{"10.1.2.3:9091", "", checklist.OK},
		{"100.64.0.1:9091", "", checklist.OK},
		{"[2001:db9::1]:9091", "", checklist.Failed},
		{"[fd00::1]:9091", "", checklist.OK},
	} {
		path := filepath.Join(t.TempDir(), "http.yml")
		write(t, path, "proxy_url: "+proxy.URL+"\n"+tt.config)
		o := options(t, "http://"+tt.host+"/metrics")
		var err error
		if o.Client, err = scrape.NewClient(path, 20*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		if i := item(t, run(t, o), "exposure"); i.Status != tt.want {
			t.Errorf("%s: %+v, want %v", tt.host, i, tt.want)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		write(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
