package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

// waitLimit is the timeout for events that must happen. Only a failing test waits
// this long.
const waitLimit = 30 * time.Second

// In a process with this variable, the test binary runs as the command otelws.
const childVar = "OTELWS_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		main()
	}
	// Parallel tests wait for the limits of hops and need little CPU time.
	flag.Parse()
	_ = flag.Set("test.parallel", "32")
	goleak.VerifyTestMain(m)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	t.Cleanup(cancel)
	return ctx
}

// running is a demo or a proxy with the addresses that it printed.
type running struct {
	url     string // address of the WebSockets
	metrics string
	words   []string // printed by a proxy
	stop    func() error
}

// startDemo runs d in this process, on free ports unless d sets its ports.
func startDemo(t *testing.T, d demo) *running {
	t.Helper()
	d.listen, d.metrics = cmp.Or(d.listen, "127.0.0.1:0"), "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	out, w := io.Pipe()
	result := make(chan error, 1)
	go func() {
		result <- d.run(ctx, w, slog.New(slog.DiscardHandler))
		w.Close()
	}()
	stopped := false
	r := readPlaces(t, out)
	r.stop = func() error {
		stopped = true
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(waitLimit):
			return fmt.Errorf("the demo did not end")
		}
	}
	t.Cleanup(func() {
		if !stopped {
			if err := r.stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return r
}

// readPlaces parses the first lines that a demo prints.
func readPlaces(t *testing.T, out io.Reader) *running {
	t.Helper()
	r, words := &running{}, readWords(t, out, 5)
	for _, word := range words {
		if url, ok := strings.CutSuffix(word, "/echo"); ok {
			r.url = url
		}
		if strings.HasSuffix(word, "/metrics") {
			r.metrics = word
		}
	}
	if r.url == "" || r.metrics == "" {
		t.Fatalf("the demo printed %q", words)
	}
	return r
}

// readWords returns the words of the first lines.
func readWords(t *testing.T, out io.Reader, n int) []string {
	t.Helper()
	lines := bufio.NewScanner(out)
	var text []string
	for len(text) < n && lines.Scan() {
		text = append(text, lines.Text())
	}
	go io.Copy(io.Discard, out)
	return strings.Fields(strings.Join(text, " "))
}

func (r *running) dial(t *testing.T, path string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(testContext(t), r.url+path, nil)
	check(t, err)
	c.SetReadLimit(-1)
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func (r *running) scrape(t *testing.T) samples {
	t.Helper()
	resp := get(t, r.metrics)
	if resp.status != http.StatusOK {
		t.Fatalf("scrape: status %d", resp.status)
	}
	return parse(t, resp.body)
}

// waitFor scrapes until ok returns true.
func (r *running) waitFor(t *testing.T, what string, ok func(samples) bool) {
	t.Helper()
	var s samples
	for deadline := time.Now().Add(waitLimit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if s = r.scrape(t); ok(s) {
			return
		}
	}
	t.Fatalf("gave up waiting for %s, in\n%v", what, s)
}

func (r *running) waitForValue(t *testing.T, name string, value float64) {
	t.Helper()
	r.waitFor(t, fmt.Sprintf("%s %v", name, value), func(s samples) bool {
		got, ok := s[name]
		return ok && got == value
	})
}

// samples holds the values of a scrape by name and labels.
type samples map[string]float64

func (s samples) String() string {
	var b strings.Builder
	for name, v := range s {
		if strings.HasPrefix(name, "ws_") && v != 0 {
			fmt.Fprintln(&b, name, v)
		}
	}
	return b.String()
}

func parse(t *testing.T, body string) samples {
	t.Helper()
	s := samples{}
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		check(t, err)
		s[line[:i]] = v
	}
	return s
}

type response struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, url string) response {
	t.Helper()
	r, err := http.NewRequestWithContext(testContext(t), http.MethodGet, url, nil)
	check(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	return response{resp.StatusCode, resp.Header, string(body)}
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}
