// Package counted adds histograms to a MeterProvider of the OpenTelemetry SDK whose values the
// instrumentation counts by itself. They are to histograms as observable counters are to
// counters. The OpenTelemetry API has no such instrument. To record a value costs only the
// instrumentation's own counting: some nanoseconds, on any number of cores. Record of an ordinary
// histogram costs about a hundred nanoseconds, and the cores contend for it.
//
// A program with its own MeterProvider passes a producer to each reader, and the wrapped provider
// to all instrumentation:
//
//	histograms := counted.New()
//	reader := sdkmetric.NewPeriodicReader(exp, sdkmetric.WithProducer(histograms.Producer(exp.Temporality)))
//	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
//	otel.SetMeterProvider(histograms.Wrap(mp))
//
// A reader gets exactly the data of an ordinary histogram: data points, minimum and maximum,
// exemplars, cumulative or delta.
//
// # When a histogram stays an ordinary one
//
// The wrapped provider accepts a counted histogram only if every reader would get the same data.
// Otherwise it refuses, and the instrumentation creates an ordinary histogram. It refuses if
//
//   - the number of producers differs from the number of readers,
//   - a view matches the histogram,
//   - a reader does not aggregate histograms in explicit buckets with minimum and maximum, for
//     example because of OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION,
//   - the exemplar filter is not trace_based, for example because of
//     OTEL_METRICS_EXEMPLAR_FILTER.
//
// The SDK has no API for its readers and views, so this package reads private fields of the
// MeterProvider. If a release of the SDK changes these fields, every histogram is an ordinary one.
//
// # Callbacks
//
// In the SDK, an observable callback that fails removes the data of producers from that collection,
// and makes a PeriodicReader export nothing at all. A callback that panics ends the process.
//
// The wrapped provider guards callbacks against both. An error or a panic goes to the error handler
// of OpenTelemetry, and only the measurements that the failing callback had not yet made are
// missing. This holds only for callbacks that were registered through the wrapped provider, so pass
// it to all instrumentation.
package counted
