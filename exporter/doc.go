// Package exporter takes a process's OpenTelemetry metrics to Prometheus, on an HTTP listener of
// their own.
//
// It is complete without configuration:
//
//	exp, err := exporter.New()
//	if err != nil {
//		return err
//	}
//	defer exp.Shutdown(context.Background())
//	otel.SetMeterProvider(exp.MeterProvider())
//	return exp.ListenAndServe(ctx) // http://localhost:9091/metrics, until ctx is done
//
// A scrape holds the instruments of [Exporter.MeterProvider], target_info from the resource, and
// the metrics of the Go runtime and the process: descriptors in use and their limit, garbage
// collection, scheduler latency, build information. Names follow the Prometheus conventions
// (unit and _total suffixes, underscores) whatever the scraper asks for. Exemplars are part of the
// OpenMetrics form alone, which Prometheus asks for when its exemplar storage is on.
//
// # Where to listen
//
// The default address is localhost:9091. Set an address that Prometheus reaches and the public
// does not, and scrape each process there, never through a load balancer: a scrape names the
// build, the load and the limits of the process, costs CPU at each request, and has no
// authentication unless a web configuration file gives it one. That is also why it does not share
// the application's port. A separate listener goes on answering when the application's is
// saturated, which is when its metrics matter.
//
// # Limits
//
// A scraper cannot pin the process: see [WithScrapeTimeout] for time, [WithMaxScrapes] for
// concurrency. Connections are limited to 512, beyond which new ones wait, and request headers to
// 16 KiB. promhttp_metric_handler_requests_total{code="503"} counts the scrapes that were refused
// or timed out.
//
// # Errors in a scrape
//
// A failing collector, or two series with one name and one label set, costs those series and
// nothing else; the rest is served with status 200, the error is logged, and
// promhttp_metric_handler_errors_total counts it. An observable callback's error goes to the
// OpenTelemetry error handler, which is global to the process; otel.SetErrorHandler changes it. A
// callback that panics costs that scrape all series of the MeterProvider, and one that never
// returns blocks every scrape, so that they time out.
package exporter
