// Package exporter serves the OpenTelemetry metrics of a process to Prometheus, on an HTTP listener
// of its own.
//
// It needs no configuration:
//
//	exp, err := exporter.New()
//	if err != nil {
//		return err
//	}
//	defer exp.Shutdown(context.Background())
//	otel.SetMeterProvider(exp.MeterProvider())
//	return exp.ListenAndServe(ctx) // http://localhost:9091/metrics, until ctx is done
//
// A scrape contains the instruments of [Exporter.MeterProvider], target_info from the resource, and
// the metrics of the Go runtime and the process: open file descriptors and their limit, garbage
// collection, scheduler latency, build information. Names follow the Prometheus conventions:
// underscores, and suffixes for the unit and for _total. The scraper's Accept header does not
// change them. Only the OpenMetrics format carries exemplars. Prometheus asks for that format if
// its exemplar storage is on.
//
// # Where to listen
//
// The default address is localhost:9091. In production, set an address that Prometheus can reach
// and the public cannot. Let Prometheus scrape each process directly, never through a load
// balancer.
//
// Do not serve metrics on the application's port. A scrape shows the build, the load and the limits
// of the process. Each scrape costs CPU. Without a web configuration file, nothing authenticates
// the scraper. A separate listener also answers when the application's listener is saturated, and
// the metrics matter most at that time.
//
// # Limits
//
// A scraper cannot overload the process. [WithScrapeTimeout] limits the time of a scrape, and
// [WithMaxScrapes] the number of concurrent scrapes. A listener keeps at most 512 connections open;
// further connections wait. Request headers are limited to 16 KiB.
// promhttp_metric_handler_requests_total{code="503"} counts the scrapes that were refused or timed
// out.
//
// # Name conflicts
//
// One bad instrument never breaks the scrape:
//
//   - If two scopes, or a scope and a collector, have an instrument of the same name and type, the
//     series of the scopes get the labels otel_scope_name, otel_scope_version and so on.
//   - If the types differ, the oldest instrument keeps the name. The type is appended to the
//     names of the others: shared, shared_histogram.
//   - If an attribute cannot be a label of its series, such as le on a histogram, its label gets
//     a prefix: exported_le.
//   - An attribute that a view removes becomes a label of the exemplar, if it can be one and fits
//     into the 128 characters of an exemplar's labels.
//   - If Prometheus has no name for an instrument, such as "é", the scrape leaves the instrument
//     out and logs it.
//   - In the OpenMetrics format, the type of a counter is unknown if its name without _total
//     belongs to another metric.
//
// # Errors in a scrape
//
// If a collector fails, or two series have the same name and labels, only those series are missing.
// The scrape still has status 200. The error is logged, and promhttp_metric_handler_errors_total
// counts it.
//
// If an observable callback returns an error or panics, the error goes to the global error handler
// of OpenTelemetry, which otel.SetErrorHandler changes. A callback that never returns blocks every
// scrape until it times out.
//
// If an instrument has more attribute sets than the SDK's limit, this is logged once for the
// instrument. See [WithCardinalityLimit].
//
// # Histograms
//
// Buckets are explicit by default. For exponential buckets in a scrape, use [WithNativeHistograms].
// For exponential buckets in an OTLP push, set
// OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram.
//
// The MeterProvider also accepts histograms that instrumentation counts by itself, which is much
// cheaper for each value. Package counted describes them, and offers the same for any MeterProvider
// of the SDK.
package exporter
