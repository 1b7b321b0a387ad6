package live

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

const answer = `{"time":"2026-01-02T03:04:05Z","total":3,"matching":2,"addresses":true,
"sums":{"connections":{"server":2},"messages_received":7,"messages_sent":8,"bytes_received":2048,"bytes_sent":9},
"connections":[
{"id":1,"role":"server","remote":"10.0.0.1:5000","attributes":{"plan":"pro","http.route":"/chat"},"state":"open","age_seconds":90061,"idle_seconds":0.25,"bytes_received":1500000,"messages_received":5,"rtt_seconds":0.0123,"writing_seconds":2.5,"tcp":{"unsent_bytes":3000,"retransmits":4}},
{"id":2,"role":"server","remote":"10.0.0.2:5000","state":"close_sent","age_seconds":5,"idle_seconds":5}],
"closed":[{"id":3,"role":"client","code":1006,"initiator":"peer","reason":"bye\u001b[2J\u202e\nnow","age_seconds":80,"idle_seconds":60,"closed":"2026-01-02T03:04:05Z"},{"id":4,"role":"server","code":0,"initiator":"local"}]}`

// page answers like a DebugHandler, and records the requests.
type page struct {
	mu    sync.Mutex
	asked []string
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.URL.RawQuery)
	if r.URL.Path != "/debug/ws" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, answer)
}

func newPage(t *testing.T) (*page, *Source) {
	t.Helper()
	p := new(page)
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	source, err := NewSource(s.URL+"/metrics", s.Client(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return p, source
}

func TestNewSource(t *testing.T) {
	for address, want := range map[string]string{
		"localhost:9091":                  "http://localhost:9091/debug/ws",
		"http://localhost:9091/":          "http://localhost:9091/debug/ws",
		"https://ws/metrics?x=y#z":        "https://ws/debug/ws",
		"http://localhost:9091/debug/ws":  "http://localhost:9091/debug/ws",
		"http://a:secret@ws/own/debug/ws": "http://a:xxxxx@ws/own/debug/ws",
		"ftp://localhost":                 "",
		"http://":                         "",
		"http://a b":                      "",
	} {
		s, err := NewSource(address, nil, 0)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s is %s", address, s)
		case want != "" && (err != nil || s.String() != want):
			t.Errorf("%s is %v, %v, want %s", address, s, err, want)
		}
	}
}

func TestGetSaysWhatIsWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"no such page": {404, "", "as the documentation of DebugHandler shows"},
		"credentials":  {401, "", "--http.config.file"},
		"another host": {403, "no known\x1b[2J name", `no known\x1b[2J name`},
		"HTML":         {200, "<html>", "not the answer of a DebugHandler"},
		"other JSON":   {200, `{"status":"ok"}`, "not the answer of a DebugHandler"},
		"empty":        {200, "", "not the answer of a DebugHandler"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			fmt.Fprint(w, tt.body)
		}))
		source, err := NewSource(s.URL, s.Client(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.Get(context.Background(), Query{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v lacks %q", name, err, tt.want)
		}
		s.Close()
		if _, err := source.Get(context.Background(), Query{}); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s, gone: %v", name, err)
		}
	}
}

// The JSON that top prints is from a DebugHandler, and does not change the terminal.
func TestRaw(t *testing.T) {
	for body, want := range map[string]string{
		"{\"total\":1,\"new\":\"a\u009b2J\x7f\xff\u00e9\"}\n": "{\"total\":1,\"new\":\"a\\u009b2J\\u007f\uFFFD\u00e9\"}\n",
		`{"status":"ok"}`: "",
		`{"total":"1"}`:   "",
		"null":            "",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		source, err := NewSource(s.URL, s.Client(), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		got, err := source.Raw(t.Context(), Query{Sort: "age", N: 1})
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", body, got, err, want)
		}
		s.Close()
	}
}

func TestWriteTable(t *testing.T) {
	_, source := newPage(t)
	a, err := source.Get(context.Background(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := a.WriteTable(&b, Query{Sort: "idle"}); err != nil {
		t.Fatal(err)
	}
	ended := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local().Format(time.TimeOnly)
	want := `3 open, 2 match, received 2.0KiB in 7 messages, sent 9B in 8 messages

ID  WHO                      ROLE    STATE       AGE      IDLE*  RECEIVED  MSGS  SENT  MSGS  RTT   PING?  WRITING  UNSENT
1   10.0.0.1:5000 /chat pro  server  open        25h1m1s  250ms  1.4MiB    5     0B    0     12ms         2.5s     2.9KiB
2   10.0.0.2:5000            server  close_sent  5s       5s     0B        0     0B    0

Ended last:
ID  WHO  ROLE    ENDED     CODE   BY     LASTED  SILENT  RECEIVED  SENT  REASON
3        client  ` + ended + `  1006   peer   1m20s   1m      0B        0B    bye\x1b[2J\u202e\nnow
4        server  ` + time.Time{}.Local().Format(time.TimeOnly) + `  other  local                  0B        0B
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// run passes messages to m, and then the messages that result from them.
func (m *screen) run(t *testing.T, msgs ...tea.Msg) string {
	t.Helper()
	for _, msg := range msgs {
		_, cmd := m.Update(msg)
		for cmd != nil && m.asking {
			_, cmd = m.Update(cmd())
		}
	}
	return ansi.Strip(m.View().Content)
}

func key(text string) tea.Msg {
	switch text {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "tab":
		return tea.KeyPressMsg{Code: tea.KeyTab}
	case "down":
		return tea.KeyPressMsg{Code: tea.KeyDown}
	case "backspace":
		return tea.KeyPressMsg{Code: tea.KeyBackspace}
	}
	return tea.KeyPressMsg{Code: rune(text[0]), Text: text}
}

func TestScreen(t *testing.T) {
	p, source := newPage(t)
	m := newScreen(context.Background(), source, Query{Sort: "received", N: 50}, time.Hour)
	if shown := m.run(t); !strings.Contains(shown, "Loading") {
		t.Errorf("before the first answer:\n%s", shown)
	}
	m.Update(m.Init()())
	shown := m.run(t, tea.WindowSizeMsg{Width: 100, Height: 20})
	if lines := strings.Split(shown, "\n"); len(lines) != 20 || slices.ContainsFunc(lines, func(l string) bool { return ansi.StringWidth(l) > 100 }) {
		t.Errorf("%d lines do not fit into 100 by 20:\n%s", len(lines), shown)
	}
	for _, step := range []struct {
		keys        string
		want        []string
		never, asks string
	}{
		{"", []string{"3 open, 2 match", "RECEIVED*", "UNSENT", "q quit", "10.0.0.1:5000", "10.0.0.2:5000"}, "Ended", ""},
		{"enter", []string{"plan", "pro", "TCP retransmits", "1500000 B in 5 messages"}, "10.0.0.2", ""},
		{"esc down enter", []string{"10.0.0.2:5000", "close_sent"}, "10.0.0.1", ""},
		{"esc i", []string{"IDLE*"}, "RECEIVED*", "sort=idle"},
		{"t", []string{"RTT*"}, "IDLE*", "sort=rtt"},
		{"o", []string{"[server]"}, "", "role=server"},
		{"/ x = y backspace z enter", []string{"[x=z]"}, "", "filter=x%3Dz"},
		{"/ q esc", []string{"[x=z]"}, "Filter:", ""},
		{"tab", []string{"1006", `bye\x1b[2J\u202e\nnow`, "REASON"}, "10.0.0.1", ""},
		{"enter", []string{"code", "1006", "initiator", "peer"}, "other", ""},
		{"tab p", []string{"Paused: 3 open", "10.0.0.1"}, "REASON", ""},
	} {
		var keys []tea.Msg
		for k := range strings.FieldsSeq(step.keys) {
			keys = append(keys, key(k))
		}
		shown := m.run(t, keys...)
		for _, want := range step.want {
			if !strings.Contains(shown, want) {
				t.Errorf("after %q there is no %q:\n%s", step.keys, want, shown)
			}
		}
		if step.never != "" && strings.Contains(shown, step.never) {
			t.Errorf("after %q there is %q:\n%s", step.keys, step.never, shown)
		}
		if last := p.asked[len(p.asked)-1]; !strings.Contains(last, step.asks) {
			t.Errorf("after %q it asked %q, without %q", step.keys, last, step.asks)
		}
	}
	if shown := m.run(t, answered{err: fmt.Errorf("gone\x1b[2J")}); !strings.Contains(shown, `Not up to date: gone\x1b[2J`) || !strings.Contains(shown, "10.0.0.1") {
		t.Errorf("after an error:\n%s", shown)
	}
	for _, size := range []tea.WindowSizeMsg{{Width: 1, Height: 1}, {Width: 0, Height: 0}, {Width: 500, Height: 3}} {
		m.run(t, size, key("enter"), key("enter"), key("tab"), key("tab"))
	}
	if _, cmd := m.Update(key("q")); cmd == nil {
		t.Error("q does nothing")
	} else if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Error("q does not quit")
	}
}

// A narrow screen keeps the sorted column and the most important ones.
func TestScreenFits(t *testing.T) {
	_, source := newPage(t)
	for width, want := range map[int]string{
		140: "ID WHO ROLE STATE AGE IDLE RECEIVED MSGS SENT MSGS RTT PING? WRITING UNSENT*",
		110: "ID WHO STATE AGE IDLE RECEIVED SENT RTT PING? WRITING UNSENT*",
		80:  "WHO AGE IDLE RECEIVED SENT RTT WRITING UNSENT*",
		60:  "WHO IDLE RECEIVED SENT UNSENT*",
		10:  "WHO",
	} {
		m := newScreen(context.Background(), source, Query{Sort: "unsent", N: 50}, time.Hour)
		m.Update(m.Init()())
		lines := strings.Split(m.run(t, tea.WindowSizeMsg{Width: width, Height: 20}), "\n")
		if got := strings.Join(strings.Fields(lines[3]), " "); got != want {
			t.Errorf("%d columns: %s, want %s", width, got, want)
		}
		if last := lines[len(lines)-1]; width >= 80 && !strings.HasSuffix(last, "q quit") {
			t.Errorf("%d columns: %s", width, last)
		}
	}
}

// Nothing panics in a window that has no room for anything.
func TestScreenWithoutRoom(t *testing.T) {
	_, source := newPage(t)
	for height := range 8 {
		for width := range 4 {
			m := newScreen(context.Background(), source, Query{N: 50}, time.Hour)
			m.Update(m.Init()())
			m.Update(tea.WindowSizeMsg{Width: width, Height: height})
			for _, key := range []string{"enter", "pgdown", "tab", "enter", "pgup", "/"} {
				m.key(key)
				for _, line := range m.lines() {
					if ansi.StringWidth(line) > width {
						t.Errorf("%d x %d after %s: %q", width, height, key, line)
					}
				}
			}
		}
	}
}
