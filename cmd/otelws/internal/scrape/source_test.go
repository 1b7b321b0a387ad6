package scrape_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const metrics = "# TYPE a_total counter\na_total{b=\"c\"} 1\na_total{b=\"d\"} 2\n"

func client(t *testing.T, config string, timeout time.Duration) *scrape.Client {
	t.Helper()
	path := ""
	if config != "" {
		path = filepath.Join(t.TempDir(), "http.yml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := scrape.NewClient(path, timeout, strings.NewReader(metrics))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSources(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(path, contentType, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			fmt.Fprint(w, body)
		})
	}
	answer("/text", "text/plain; version=0.0.4", metrics)
	answer("/openmetrics", "application/openmetrics-text; version=1.0.0",
		"# TYPE a counter\na_total{b=\"c\"} 1 # {trace_id=\"1\"} 1\na_total{b=\"d\"} 2\n# EOF\n")
	answer("/html", "text/html", "<!doctype html><p>a_total 3")
	answer("/json", "application/json", `{"a_total": 3}`)
	answer("/empty", "text/plain", "")
	answer("/comments", "text/plain", "# nothing\n")
	answer("/garbage", "text/plain", "a_total{b=\x22c 3\n\x1b[2J")
	answer("/cut", "text/plain", "a_total 3\nb_tot")
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, metrics)
		z.Close()
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		line := bytes.Repeat([]byte("# a long comment\n"), 1<<16)
		for range 40 {
			if _, err := z.Write(line); err != nil {
				return
			}
		}
		z.Close()
	})
	mux.HandleFunc("/private", func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "ann" || p != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, metrics)
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.Handle("/moved", http.RedirectHandler("/text", http.StatusFound))
	mux.Handle("/login", http.RedirectHandler("/html", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	s := httptest.NewServer(mux)
	defer s.Close()
	tls := httptest.NewTLSServer(mux)
	defer tls.Close()

	file := filepath.Join(t.TempDir(), "metrics.txt")
	if err := os.WriteFile(file, []byte(metrics), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		source, config string
		want           []string // of the error, none for metrics
	}{
		{source: s.URL + "/text"},
		{source: s.URL + "/openmetrics"},
		{source: s.URL + "/gzip"},
		{source: s.URL + "/moved"},
		{source: "-"},
		{source: file},
		{source: s.URL + "/private", config: "basic_auth: {username: ann, password: secret}"},
		{source: strings.Replace(s.URL, "http://", "http://ann:secret@", 1) + "/private"},
		{source: tls.URL + "/text", config: "tls_config: {insecure_skip_verify: true}"},
		{source: tls.URL + "/text", want: []string{"certificate"}},
		{source: s.URL + "/private", want: []string{"401", "--http.config.file"}},
		{source: s.URL + "/html", want: []string{"HTML"}},
		{source: s.URL + "/login", want: []string{"redirected to", "/html", "HTML"}},
		{source: s.URL + "/loop", want: []string{"redirects"}},
		{source: s.URL + "/json", want: []string{"JSON"}},
		{source: s.URL + "/empty", want: []string{"empty"}},
		{source: s.URL + "/comments", want: []string{"only comments"}},
		{source: s.URL + "/garbage", want: []string{"invalid metrics", "line 1"}},
		{source: s.URL + "/cut", want: []string{"invalid metrics"}},
		{source: s.URL + "/bomb", want: []string{"more than 32 MiB"}},
		{source: s.URL + "/nowhere", want: []string{"404", "address of the metrics"}},
		{source: s.URL + "/hang", want: []string{"no answer within 100ms"}},
		{source: "http://127.0.0.1:1/metrics", want: []string{"refused"}},
		{source: "no/such.txt", want: []string{"no such file"}},
		{source: "example/metrics", want: []string{"no such file", "http://example/metrics"}},
		{source: "ws://localhost/metrics", want: []string{"http://"}},
	} {
		t.Run(strings.TrimPrefix(tt.source, s.URL), func(t *testing.T) {
			timeout := 5 * time.Minute
			if strings.HasSuffix(tt.source, "/hang") {
				timeout = 100 * time.Millisecond
			}
			got, err := client(t, tt.config, timeout).Get(t.Context(), tt.source)
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if sum, ok := got.Sum("a_total"); sum != 3 || !ok {
					t.Errorf("got %v", got.Families)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(tt.want, scrape.Name(tt.source)) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 400 {
				t.Errorf("not a line: %q", err)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("localhost", []byte(metrics), 0o600); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"localhost:9091":               "http://localhost:9091/metrics",
		"10.0.0.7:9091/probe?a=b":      "http://10.0.0.7:9091/probe?a=b",
		"ws-1.internal:9091/":          "http://ws-1.internal:9091/",
		"[::1]:9091":                   "http://[::1]:9091/metrics",
		"127.0.0.1/metrics":            "http://127.0.0.1/metrics",
		"https://example.com":          "https://example.com/metrics",
		"https://example.com/federate": "https://example.com/federate",
		"-":                            "-",
		"no/such.txt":                  "no/such.txt",
		"scrape.txt":                   "scrape.txt",
		"localhost":                    "localhost", // a file of that name
		"localhost/m":                  "http://localhost/m",
		"ws://localhost:8080":          "ws://localhost:8080",
	} {
		if got := scrape.Address(source); got != want {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
}

func TestCancel(t *testing.T) {
	asked := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := client(t, "", time.Minute).Get(ctx, s.URL); err == nil {
		t.Error("no error")
	}
}

func TestBadConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.yml")
	if err := os.WriteFile(path, []byte("basic_out: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, "no/such.yml"} {
		if _, err := scrape.NewClient(p, time.Second, nil); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", p, err)
		}
	}
}
