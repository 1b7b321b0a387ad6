// Package counted gives a MeterProvider of the OpenTelemetry SDK histograms whose values the instrumentation
// counts itself: what an asynchronous instrument is to a counter, and the OpenTelemetry API does not have for
// histograms. Recording then costs what the instrumentation's own counting costs, some nanoseconds on any number
// of cores, where Record of an ordinary histogram costs a hundred and its cores wait for each other.
//
// A program that has a MeterProvider of its own hands a producer to each of its readers, and the wrapped provider
// to all of its instrumentation:
//
//	histograms := counted.New()
//	reader := sdkmetric.NewPeriodicReader(exp, sdkmetric.WithProducer(histograms.Producer(exp.Temporality)))
//	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
//	otel.SetMeterProvider(histograms.Wrap(mp))
//
// What a reader has of such a histogram is to the digit what it would have of an ordinary one: data points, extrema
// and exemplars, cumulative or delta.
//
// # Where a histogram is an ordinary one
//
// The wrapped provider takes a counted histogram where that comes out as an ordinary one would, in every reader. It
// refuses it, and the instrumentation makes an ordinary instrument, where
//
//   - a reader of the provider has no producer, or there is one more or less than there are readers,
//   - a view matches the histogram,
//   - a reader aggregates histograms otherwise than in explicit buckets with all that belongs to them, as
//     OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION may say,
//   - exemplars are others than those of sampled spans, as OTEL_METRICS_EXEMPLAR_FILTER may say.
//
// The SDK tells nobody of its readers and views. They are read from the fields of the MeterProvider; of a release of
// the SDK in which these are others nothing is known, and every histogram is an ordinary one.
//
// # Callbacks
//
// The SDK leaves out of a collection what producers have when an observable callback fails, and a PeriodicReader
// then exports nothing at all; a callback that panics ends the process. The wrapped provider calls callbacks through
// a guard: an error and a panic go to the OpenTelemetry error handler, and cost the failing callback alone what it
// had not observed. That holds for callbacks that were registered through the wrapped provider, hence: hand it to
// all instrumentation.
package counted
