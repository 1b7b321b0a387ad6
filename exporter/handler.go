package exporter

import (
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/exporter-toolkit/web"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

const (
	metricsPath = "/metrics"
	healthyPath = "/-/healthy"
	readyPath   = "/-/ready"
)

// router serves exact paths. Unlike http.ServeMux, it never redirects. Pages may be added while it
// serves.
type router struct {
	cfg config
	res *resource.Resource

	mu     sync.RWMutex
	routes map[string]http.Handler
	pages  []page
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt.mu.RLock()
	h, ok := rt.routes[r.URL.Path]
	rt.mu.RUnlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	h.ServeHTTP(w, r)
}

func newRouter(g prometheus.Gatherer, reg prometheus.Registerer, cfg config, res *resource.Resource) (*router, error) {
	rt := &router{cfg: cfg, res: res, routes: map[string]http.Handler{
		metricsPath: newMetricsHandler(g, reg, cfg),
		healthyPath: http.HandlerFunc(healthy),
	}}
	if cfg.ready != nil {
		rt.routes[readyPath] = cfg.ready
	}
	if err := rt.add(cfg.pages...); err != nil {
		return nil, err
	}
	return rt, nil
}

// add adds pages, and makes the landing page again. If it returns an error, it adds none.
func (rt *router) add(pages ...page) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	all := slices.Clone(rt.pages)
	for _, p := range pages {
		if err := p.validate(all); err != nil {
			return err
		}
		all = append(all, p)
	}
	landing, err := newLandingPage(rt.res, rt.cfg, all)
	if err != nil {
		return err
	}
	rt.pages, rt.routes["/"] = all, landing
	for _, p := range pages {
		rt.routes[p.path] = &pageGuard{next: p.handler, hosts: rt.cfg.pageHosts, webConfigFile: rt.cfg.webConfigFile}
	}
	return nil
}

// newMetricsHandler returns the handler of scrapes, with cfg's limits on time and concurrency.
func newMetricsHandler(g prometheus.Gatherer, reg prometheus.Registerer, cfg config) http.Handler {
	opts := promhttp.HandlerOpts{
		Registry:      reg,
		ErrorLog:      &errorLog{logger: cfg.logger, msg: "failed to collect all metrics for a scrape"},
		ErrorHandling: promhttp.ContinueOnError,
	}
	others := promhttp.HandlerFor(g, opts)
	opts.EnableOpenMetrics = true
	openMetrics := promhttp.HandlerFor(distinct{g}, opts)
	places := make(chan struct{}, cfg.maxScrapes)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, fmt.Sprintf("The limit of %d concurrent scrapes is reached: try again later.", cfg.maxScrapes), http.StatusServiceUnavailable)
			return
		}
		if expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...).FormatType() == expfmt.TypeOpenMetrics {
			openMetrics.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
	late := fmt.Sprintf("The scrape took longer than the limit of %v.\n", cfg.scrapeTimeout)
	return promhttp.InstrumentMetricHandler(reg, http.TimeoutHandler(h, cfg.scrapeTimeout, late))
}

func newLandingPage(res *resource.Resource, cfg config, pages []page) (http.Handler, error) {
	links := []web.LandingLinks{
		{Address: metricsPath, Text: "Metrics"},
		{Address: healthyPath, Text: "Health"},
	}
	if cfg.ready != nil {
		links = append(links, web.LandingLinks{Address: readyPath, Text: "Readiness"})
	}
	for _, p := range pages {
		links = append(links, web.LandingLinks{Address: p.path, Text: template.HTMLEscapeString(p.text)})
	}
	page, err := web.NewLandingPage(web.LandingConfig{
		// The toolkit renders a text template, which escapes nothing.
		Name:        template.HTMLEscapeString(attributeOf(res, "service.name")),
		Version:     template.HTMLEscapeString(attributeOf(res, "service.version")),
		Description: "Metrics of this process for Prometheus",
		Profiling:   "false",
		Links:       links,
	})
	if err != nil {
		return nil, fmt.Errorf("failed to render the landing page: %w", err)
	}
	return page, nil
}

func attributeOf(res *resource.Resource, key attribute.Key) string {
	v, _ := res.Set().Value(key)
	return v.String()
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "Healthy.\n")
}
