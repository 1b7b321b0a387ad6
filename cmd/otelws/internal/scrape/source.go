package scrape

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// accept requests the text format, which every endpoint has, with UTF-8 names, like Prometheus 3.
const accept = "text/plain;version=1.0.0;escaping=allow-utf-8;q=1,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.9," +
	"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"

// Client scrapes sources. It is safe for concurrent use.
type Client struct {
	HTTP *http.Client
	// Timeout is the time limit of a scrape.
	Timeout time.Duration
	// Authorized reports whether requests carry credentials. The endpoint may then refuse other requests.
	Authorized bool
	stdin      io.Reader
}

// NewClient returns a client with the credentials and TLS settings in configFile, which has the format
// of Prometheus's http_config. An empty name means no settings. The source "-" is read from stdin.
func NewClient(configFile string, timeout time.Duration, stdin io.Reader) (*Client, error) {
	hc, authorized, err := NewHTTPClient(configFile)
	if err != nil {
		return nil, err
	}
	return &Client{HTTP: hc, Timeout: timeout, Authorized: authorized, stdin: stdin}, nil
}

// NewHTTPClient returns a client for HTTP/1.1 with the settings in configFile, which has the format of
// Prometheus's http_config. It also reports whether the settings have credentials.
func NewHTTPClient(configFile string) (*http.Client, bool, error) {
	cfg := config.DefaultHTTPClientConfig
	if configFile != "" {
		read, _, err := config.LoadHTTPConfigFile(configFile)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", configFile, unpathed(err))
		}
		cfg = *read
	}
	// WebSockets need HTTP/1.1, and a connection of their own.
	hc, err := config.NewClientFromConfig(cfg, "otelws",
		config.WithHTTP2Disabled(), config.WithKeepAlivesDisabled(), config.WithUserAgent("otelws"))
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", configFile, err)
	}
	authorized := cfg.BasicAuth != nil || cfg.Authorization != nil || cfg.OAuth2 != nil ||
		cfg.TLSConfig.CertFile != "" || cfg.TLSConfig.Cert != "" || cfg.HTTPHeaders != nil
	return hc, authorized, nil
}

func unpathed(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// hostPort matches an address without a scheme, like a target of Prometheus.
var hostPort = regexp.MustCompile(`^(localhost|[\w.-]+:\d+|\[[0-9a-fA-F:.]+\](:\d+)?|\d+(\.\d+){3})(/.*)?$`)

// Address completes the address of an endpoint as Prometheus does: the default scheme is http, and the
// default path /metrics. It does not change files and "-".
func Address(source string) string {
	if _, err := os.Stat(source); !IsURL(source) && (err == nil || !hostPort.MatchString(source)) {
		return source
	}
	if !IsURL(source) {
		source = "http://" + source
	}
	if u, err := url.Parse(source); err == nil && u.Path == "" && u.RawQuery == "" {
		u.Path = "/metrics"
		return u.String()
	}
	return source
}

// IsURL reports whether a source is an address, rather than a file or "-".
func IsURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// Name returns the name of a source for messages, without a password.
func Name(source string) string {
	if source == "-" {
		return "standard input"
	}
	if u, err := url.Parse(source); err == nil && IsURL(source) {
		return u.Redacted()
	}
	return source
}

// Get scrapes a source: an address, a file, or "-". Its errors begin with the
// source's name.
func (c *Client) Get(ctx context.Context, source string) (*Scrape, error) {
	var s *Scrape
	var err error
	start := time.Now()
	switch {
	case IsURL(source):
		s, err = c.fetch(ctx, source)
	case strings.Contains(source, "://"):
		err = errors.New("not an address of metrics: use http:// or https://")
	case source == "-":
		s, err = c.readStdin(ctx)
	default:
		s, err = readFile(source)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Name(source), err)
	}
	s.Took = time.Since(start)
	return s, nil
}

// readStdin abandons the read when ctx is done, because a read of stdin cannot be cancelled.
func (c *Client) readStdin(ctx context.Context) (s *Scrape, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s, err = read(c.stdin, "")
	}()
	select {
	case <-done:
		return s, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readFile(path string) (*Scrape, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%w: for an address, write http://%s", unpathed(err), path)
	}
	if err != nil {
		return nil, unpathed(err)
	}
	defer f.Close()
	return read(f, "")
}

func (c *Client) fetch(ctx context.Context, address string) (*Scrape, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, dial.Bare(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	defer resp.Body.Close()
	where := ""
	if final := resp.Request.URL.Redacted(); final != Name(address) {
		where = fmt.Sprintf("redirected to %s, which ", final)
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%sanswered %s: give credentials in --http.config.file", where, resp.Status)
	case resp.StatusCode/100 == 3:
		return nil, fmt.Errorf("%sanswered %s to %q: give that address", where, resp.Status, resp.Header.Get("Location"))
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%sanswered %s: give the address of the metrics", where, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%sanswered %s", where, resp.Status)
	}
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(resp.Body); err != nil {
			return nil, fmt.Errorf("%sanswered invalid gzip data: %w", where, err)
		}
	}
	s, err := read(body, resp.Header.Get("Content-Type"))
	if err != nil {
		return nil, c.explain(ctx, prefixed(where, err))
	}
	return s, nil
}

func prefixed(where string, err error) error {
	if where == "" {
		return err
	}
	return fmt.Errorf("%sanswered %w", where, err)
}

// explain shortens errors of net/http, and explains a timeout.
func (c *Client) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", c.Timeout)
	}
	return dial.AdviseMetrics(dial.Bare(err))
}

func read(r io.Reader, contentType string) (*Scrape, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxSize {
		return nil, fmt.Errorf("more than %d MiB of metrics", MaxSize>>20)
	}
	return Parse(text, contentType)
}
