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

// DefaultListenAddress is the address of [Exporter.ListenAndServe], unless [WithListenAddress] sets
// another one.
const DefaultListenAddress = "localhost:9091"

const (
	// Prometheus's default scrape_timeout: after it, nobody waits for the answer.
	defaultScrapeTimeout = 10 * time.Second
	// Enough for two Prometheus servers, an agent and a person with curl.
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
	if c.scrapeTimeout < time.Millisecond {
		return fmt.Errorf("invalid scrape timeout %v: use at least 1ms, such as %v", c.scrapeTimeout, defaultScrapeTimeout)
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
	if err := c.validatePageHosts(); err != nil {
		return err
	}
	return validateWebConfig(c.webConfigFile)
}

// WithListenAddress sets the host:port of [Exporter.ListenAndServe]. The default is
// [DefaultListenAddress].
//
// An address without a host, such as :9091, listens on every interface of the machine; see the
// package documentation for the risk. Port 0 chooses a free port. To learn its number, create
// the listener yourself and call [Exporter.Serve].
func WithListenAddress(address string) Option {
	return optionFunc(func(c *config) { c.listenAddress = address })
}

// WithWebConfigFile sets a file that configures TLS, client certificates, basic authentication and
// response headers for [Exporter.ListenAndServe] and [Exporter.Serve]. It has the format of
// Prometheus's --web.config.file. Authentication covers every path, including /-/healthy. An empty
// path, which is the default, means no file.
//
// [New], ListenAndServe and Serve return an error if the file is unreadable or invalid. While
// serving, changes to users and certificates take effect without a restart.
func WithWebConfigFile(path string) Option {
	return optionFunc(func(c *config) { c.webConfigFile = path })
}

// WithScrapeTimeout sets the time limit of a scrape. The default is 10 s. A longer scrape is
// answered with status 503.
//
// Other limits of the listener follow from d. A request, including its TLS handshake, must arrive
// within d. The client must have read the response within twice d. When serving stops, scrapes in
// progress have d to end.
func WithScrapeTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.scrapeTimeout = d })
}

// WithMaxScrapes sets the number of concurrent scrapes. The default is 10. A further scrape is
// answered with status 503. A collection that hangs counts until it returns, even after its
// timeout.
func WithMaxScrapes(n int) Option {
	return optionFunc(func(c *config) { c.maxScrapes = n })
}

// WithLogger sets the logger for errors and for the listener's address. The default, also for nil,
// is slog.Default(). Errors of scrapes and errors of connections are each logged at most once in
// ten seconds, with the number of errors that were suppressed.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.logger = l })
}

// WithResource sets the resource that describes the process, in target_info and for further
// readers. Its attributes override the attributes from the environment (OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES), and those override the SDK's defaults. If no source gives a
// service.instance.id, it is a UUID that is random for each process.
func WithResource(res *resource.Resource) Option {
	return optionFunc(func(c *config) { c.resource = res })
}

// ReaderFunc makes a reader. It may pass the result of the [ProducerFunc] to
// sdkmetric.WithProducer.
type ReaderFunc func(ProducerFunc) (sdkmetric.Reader, error)

// ProducerFunc returns a producer for the reader that a [ReaderFunc] makes. With the producer, the
// reader reads the whole scrape, under the same names and labels. The producer adds the metrics
// from outside the MeterProvider: the Go runtime, the process, the caller's collectors, and the
// histograms of package counted. If any reader does without the producer, counted histograms become
// ordinary instruments for all readers.
//
// Its argument is the temporality selector of the reader's exporter. It applies to counted
// histograms. Metrics of collectors are always cumulative.
//
// The producer returns no error. It leaves out and logs metrics that fail, as a scrape does.
type ProducerFunc func(sdkmetric.TemporalitySelector) sdkmetric.Producer

// WithReader adds a reader to the MeterProvider, such as a periodic reader that pushes. [New] calls
// f once, after all other checks have passed. The Exporter owns the reader: [Exporter.Shutdown]
// shuts it down. If New fails after it called f, New shuts the reader down.
func WithReader(f ReaderFunc) Option {
	return optionFunc(func(c *config) { c.readers = append(c.readers, f) })
}

// WithView adds views to the MeterProvider. They apply to all its readers.
func WithView(views ...sdkmetric.View) Option {
	views = slices.Clone(views)
	return optionFunc(func(c *config) { c.views = append(c.views, views...) })
}

// WithCollector adds client_golang collectors to the scrape. A *prometheus.Registry is a collector,
// too. If a collector has Go runtime or process metrics of its own, also use
// [WithoutRuntimeMetrics].
func WithCollector(cs ...prometheus.Collector) Option {
	cs = slices.Clone(cs)
	return optionFunc(func(c *config) { c.collectors = append(c.collectors, cs...) })
}

// WithoutRuntimeMetrics removes the metrics of the Go runtime and the process, and the build
// information, from the scrape.
func WithoutRuntimeMetrics() Option {
	return optionFunc(func(c *config) { c.runtimeMetrics = false })
}

// WithScopeLabels adds labels to every series for the instrumentation scope: otel_scope_name,
// otel_scope_version, otel_scope_schema_url, and one for each scope attribute. These labels make a
// scrape about three times as large.
func WithScopeLabels() Option {
	return optionFunc(func(c *config) { c.scopeLabels = true })
}

// WithNativeHistograms turns the MeterProvider's histograms into native histograms of Prometheus 3.
// Such a histogram is a single series with exponential buckets that fit the recorded values.
//
// Prometheus reads native histograms if its scrape configuration has scrape_native_histograms. The
// text formats show only their sum and count. Queries for _bucket then find nothing, and the bucket
// boundaries of instruments are ignored. A view of [WithView] takes precedence. Readers of
// [WithReader] are not affected.
func WithNativeHistograms() Option {
	return optionFunc(func(c *config) { c.native = true })
}

// WithCardinalityLimit sets the SDK's limit of attribute sets for each instrument. The SDK keeps
// n-1 attribute sets. It records all further sets in one series, whose only label is
// otel_metric_overflow. This is logged once for the instrument. The default is
// OTEL_GO_X_CARDINALITY_LIMIT, or else 2000. 0 means no limit.
func WithCardinalityLimit(n int) Option {
	return optionFunc(func(c *config) { c.cardinality = &n })
}

// WithReadiness sets the handler of /-/ready, the readiness check of load balancers and
// orchestrators. The handler answers 200 if the process accepts requests and 503 if it does not.
// Without this option, or if h is nil, the path does not exist. h must be safe for concurrent use.
func WithReadiness(h http.Handler) Option {
	return optionFunc(func(c *config) { c.ready = h })
}
