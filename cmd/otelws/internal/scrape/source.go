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
)

// accept asks for the names that Prometheus 3 asks for, UTF-8 included, and for the
// text format, which every endpoint has.
const accept = "text/plain;version=1.0.0;escaping=allow-utf-8;q=1,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.9," +
	"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"

// Client scrapes. It is safe for concurrent use.
type Client struct {
	HTTP *http.Client
	// Timeout limits a scrape.
	Timeout time.Duration
	// Authorized says that requests carry credentials. An endpoint that answers them
	// may refuse others.
	Authorized bool
	stdin      io.Reader
}

// NewClient returns a client with the credentials and TLS settings of a file in the
// format of Prometheus's http_config. An empty name means no settings. The client
// reads "-" from stdin.
func NewClient(configFile string, timeout time.Duration, stdin io.Reader) (*Client, error) {
	hc, authorized, err := NewHTTPClient(configFile)
	if err != nil {
		return nil, err
	}
	return &Client{HTTP: hc, Timeout: timeout, Authorized: authorized, stdin: stdin}, nil
}

// NewHTTPClient returns a client for HTTP/1.1 with the settings of a file in the
// format of Prometheus's http_config, and reports whether it has credentials.
func NewHTTPClient(configFile string) (*http.Client, bool, error) {
	cfg := config.DefaultHTTPClientConfig
	if configFile != "" {
		read, _, err := config.LoadHTTPConfigFile(configFile)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", configFile, unpathed(err))
		}
		cfg = *read
	}
	// A WebSocket takes its connection with it, and needs HTTP/1.1.
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

// hostPort is an address without its scheme, as Prometheus's targets are.
var hostPort = regexp.MustCompile(`^(localhost|[\w.-]+:\d+|\[[0-9a-fA-F:.]+\](:\d+)?|\d+(\.\d+){3})(/.*)?$`)

// Address completes the address of an endpoint as Prometheus does: the scheme is
// http, and the path is /metrics, unless the address says otherwise. Files and
// "-" stay as they are.
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

// Name is the name of a source in messages, without a password.
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
		err = errors.New("no address of metrics: use http:// or https://")
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

// readStdin abandons the read when ctx ends, since nothing can end it.
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
		return nil, fmt.Errorf("%w; if it is an address, write http://%s", unpathed(err), path)
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
		return nil, bare(err)
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
		return nil, fmt.Errorf("%sanswered %s: credentials go in --http.config.file", where, resp.Status)
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
			return nil, fmt.Errorf("%sanswered no valid gzip: %w", where, err)
		}
	}
	s, err := read(body, resp.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("%w", c.explain(ctx, prefixed(where, err)))
	}
	return s, nil
}

func prefixed(where string, err error) error {
	if where == "" {
		return err
	}
	return fmt.Errorf("%sanswered %w", where, err)
}

// explain makes the errors of net/http shorter, and a deadline's clearer.
func (c *Client) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("not answered within %v", c.Timeout)
	}
	return bare(err)
}

// bare is an error without the request's method and address.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
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
