package exporter

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// DefaultListenAddress is where [Exporter.ListenAndServe] listens unless [WithListenAddress] says
// otherwise.
const DefaultListenAddress = "localhost:9091"

const (
	// Prometheus's own default scrape_timeout: past it, nobody waits for the answer.
	defaultScrapeTimeout = 10 * time.Second
	// A pair of Prometheus servers, an agent and somebody with curl, with room to spare.
	defaultMaxScrapes = 10
)

type config struct {
	listenAddress  string
	webConfigFile  string
	scrapeTimeout  time.Duration
	maxScrapes     int
	logger         *slog.Logger
	resource       *resource.Resource
	readers        []ReaderFunc
	views          []sdkmetric.View
	collectors     []prometheus.Collector
	runtimeMetrics bool
	scopeLabels    bool
	native         bool
	cardinality    *int
	ready          http.Handler
	pages          []page
	pageHosts      []string
}

// Option configures an [Exporter].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) (config, error) {
	cfg := config{
		listenAddress:  DefaultListenAddress,
		scrapeTimeout:  defaultScrapeTimeout,
		maxScrapes:     defaultMaxScrapes,
		runtimeMetrics: true,
	}
	for _, opt := range opts {
		if opt == nil {
			return config{}, errors.New("invalid option: it is nil")
		}
		opt.apply(&cfg)
	}
	if cfg.logger == nil {
		cfg.logger = slog.Default()
	}
	return cfg, cfg.validate()
}

func (c *config) validate() error {
	_, port, err := net.SplitHostPort(c.listenAddress)
	if err != nil || port == "" {
		return fmt.Errorf("invalid listen address %q: use host:port, such as %s", c.listenAddress, DefaultListenAddress)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("invalid listen address %q: use a port from 0 to 65535: %w", c.listenAddress, err)
	}
	if c.scrapeTimeout <= 0 {
		return fmt.Errorf("invalid scrape timeout %v: use a positive duration, such as %v", c.scrapeTimeout, defaultScrapeTimeout)
	}
	if c.maxScrapes < 1 {
		return fmt.Errorf("invalid limit of %d concurrent scrapes: allow at least 1", c.maxScrapes)
	}
	if c.cardinality != nil && *c.cardinality < 0 {
		return fmt.Errorf("invalid cardinality limit %d: use a positive number, or 0 for none", *c.cardinality)
	}
	for _, r := range c.readers {
		if r == nil {
			return errors.New("invalid reader: it is nil")
		}
	}
	for _, v := range c.views {
		if v == nil {
			return errors.New("invalid view: it is nil")
		}
	}
	for _, pc := range c.collectors {
		if pc == nil {
			return errors.New("invalid collector: it is nil")
		}
	}
	if err := c.validatePages(); err != nil {
		return err
	}
	return validateWebConfig(c.webConfigFile)
}

// WithListenAddress sets the host:port of [Exporter.ListenAndServe]. Port 0 takes a free one; to
// know which, listen yourself and use [Exporter.Serve]. An address without a host is every
// interface of the machine; see the package documentation for why that is rarely right.
func WithListenAddress(address string) Option {
	return optionFunc(func(c *config) { c.listenAddress = address })
}

// WithWebConfigFile has [Exporter.ListenAndServe] and [Exporter.Serve] take TLS, client
// certificates, basic authentication and response headers from a file in the format that
// Prometheus and its exporters read with --web.config.file. [New] and both methods report a file
// that is unreadable or invalid; changes to users and certificates are picked up while serving.
// Authentication then covers every path, /-/healthy included. Empty means none.
func WithWebConfigFile(path string) Option {
	return optionFunc(func(c *config) { c.webConfigFile = path })
}

// WithScrapeTimeout bounds how long a scrape may take, 10 s by default; one that takes longer is
// answered with 503. The listener's other bounds follow from it: a request has as long to arrive,
// TLS handshake included, twice as long until its response has been read, and a scrape in progress
// has as long to end when serving is cancelled.
func WithScrapeTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.scrapeTimeout = d })
}

// WithMaxScrapes sets how many scrapes are collected at a time, 10 by default; those above are
// answered with 503. A collection that hangs keeps its place, past its timeout, until it returns.
func WithMaxScrapes(n int) Option {
	return optionFunc(func(c *config) { c.maxScrapes = n })
}

// WithLogger sets where errors and the listener's address are logged, slog.Default() unless set or
// when nil. A failing scrape and a failing connection are each logged once in 10 s at most, with
// the number of those left out.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.logger = l })
}

// WithResource describes the process in target_info and to further readers. Its attributes win
// over those of the environment (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES), which win over the
// SDK's defaults. Where none of them has a service.instance.id, that is a random UUID of the process.
func WithResource(res *resource.Resource) Option {
	return optionFunc(func(c *config) { c.resource = res })
}

// ReaderFunc makes a reader, which has the producer that it asks for or none.
type ReaderFunc func(ProducerFunc) (sdkmetric.Reader, error)

// ProducerFunc returns what a reader must gather besides the MeterProvider, so that it reads all that
// a scrape shows: the metrics of the Go runtime, the process and the caller's collectors, under the
// names and labels of the scrape, and histograms that instrumentation counts itself, with their
// explicit buckets. Where a reader takes none, such histograms are ordinary instruments for all. The selector is that of the reader's exporter. Collectors know
// cumulative counters alone, whatever it selects. The producer reports no error: what fails is left
// out and logged, as in a scrape.
type ProducerFunc func(sdkmetric.TemporalitySelector) sdkmetric.Producer

// WithReader adds a reader to the MeterProvider, such as a periodic one that pushes. [New] calls the
// function once, when nothing but another reader can fail any more, and the reader is the Exporter's:
// [Exporter.Shutdown] shuts it down, or New where it returns an error after all.
func WithReader(f ReaderFunc) Option {
	return optionFunc(func(c *config) { c.readers = append(c.readers, f) })
}

// WithView adds views to the MeterProvider, for all its readers.
func WithView(views ...sdkmetric.View) Option {
	views = slices.Clone(views)
	return optionFunc(func(c *config) { c.views = append(c.views, views...) })
}

// WithCollector adds client_golang collectors to the scrape; a *prometheus.Registry is one too. If
// it has Go or process metrics of its own, use [WithoutRuntimeMetrics] with it.
func WithCollector(cs ...prometheus.Collector) Option {
	cs = slices.Clone(cs)
	return optionFunc(func(c *config) { c.collectors = append(c.collectors, cs...) })
}

// WithoutRuntimeMetrics leaves out the metrics of the Go runtime and the process, and the build
// information.
func WithoutRuntimeMetrics() Option {
	return optionFunc(func(c *config) { c.runtimeMetrics = false })
}

// WithScopeLabels adds the name, version and schema URL of the instrumentation scope to every
// series, as otel_scope_ labels. They roughly triple the size of a scrape.
func WithScopeLabels() Option {
	return optionFunc(func(c *config) { c.scopeLabels = true })
}

// WithNativeHistograms has histograms of the MeterProvider come out of a scrape with exponential
// buckets, as the native histograms of Prometheus 3: one series each, whose buckets fit what was
// recorded. Prometheus asks for them where its scrape configuration has scrape_native_histograms; in
// the text forms, such a histogram has its sum and count alone. Queries for _bucket, and the buckets
// that instruments ask for, are of no use then. Views go before it, and it is not for the readers of
// [WithReader].
func WithNativeHistograms() Option {
	return optionFunc(func(c *config) { c.native = true })
}

// WithCardinalityLimit sets how many attribute sets of one instrument the MeterProvider keeps apart,
// one less than n; all further ones share a series with the label otel_metric_overflow alone, and
// that is logged. Without it n is OTEL_GO_X_CARDINALITY_LIMIT, or 2000; 0 is no limit.
func WithCardinalityLimit(n int) Option {
	return optionFunc(func(c *config) { c.cardinality = &n })
}

// WithReadiness has h answer /-/ready, beside /-/healthy: 200 where the process takes requests and
// 503 where it does not, as load balancers and orchestrators ask. Without it that path does not
// exist. h must be safe for concurrent use; nil means none.
func WithReadiness(h http.Handler) Option {
	return optionFunc(func(c *config) { c.ready = h })
}
