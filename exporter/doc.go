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
// # What is in a scrape
//
// One bad instrument costs itself, and never the scrape. Where several scopes have instruments of one
// name, or a scope and a collector, the series of the scopes have the labels otel_scope_name and so
// on; where the types differ as well, the first instrument keeps the name, and those made later append
// their type (shared, shared_histogram). An attribute that cannot be a label of its series, such as le
// on a histogram, becomes exported_le. What has no name in Prometheus at all, such as "é", is left out
// and logged. In OpenMetrics, a counter whose family would have another's name is of unknown type.
//
// # Errors in a scrape
//
// A failing collector, or two series with one name and one label set, costs those series and
// nothing else; the rest is served with status 200, the error is logged, and
// promhttp_metric_handler_errors_total counts it. An observable callback's error or panic goes to the
// OpenTelemetry error handler, which is global to the process; otel.SetErrorHandler changes it. A
// callback that never returns blocks every scrape, so that they time out. That an instrument has more
// attribute sets than the SDK keeps apart is logged, once; see [WithCardinalityLimit].
//
// # Histograms
//
// Instrumentation that counts histograms itself has them read here: see package counted, which serves
// any other MeterProvider of the SDK as well. Buckets are explicit by default. With exponential ones all
// histograms come out right, too: in a scrape by [WithNativeHistograms], in a push by
// OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram.
package exporter
