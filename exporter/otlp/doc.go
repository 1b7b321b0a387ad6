// Package otlp sends a process's traces and metrics to an OpenTelemetry Collector or any other receiver of
// OTLP, as the standard OTEL_ variables say. It stands apart from package exporter, so that whoever wants
// Prometheus alone links no gRPC.
//
// Everything at once, scrape, push and traces:
//
//	push, err := otlp.New(ctx) // of the OTEL_ variables
//	if err != nil {
//		return err
//	}
//	exp, err := exporter.New(push.ExporterOptions()...)
//	if err != nil {
//		return errors.Join(err, push.Shutdown(ctx))
//	}
//	otel.SetErrorHandler(exporter.ErrorHandler(logger))
//	otel.SetMeterProvider(exp.MeterProvider())
//	otel.SetTracerProvider(push.TracerProvider())
//	otel.SetTextMapPropagator(push.Propagator())
//	err = run(ctx, exp.ListenAndServe) // returns when the last connection has ended
//	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
//	defer cancel()
//	return errors.Join(err, otlp.Shutdown(deadline, push, exp)) // spans first, metrics last
//
// # What is exported
//
// A signal goes out only where the environment asks for it: OTEL_TRACES_EXPORTER or
// OTEL_METRICS_EXPORTER names otlp, or is not set and there is an endpoint
// (OTEL_EXPORTER_OTLP_ENDPOINT or that of the signal). This is stricter than the specification, by
// whose defaults every process pushes to localhost. Exporters are otlp and none, for metrics also
// prometheus, which stands for the scrape of package exporter; a list may name both. The scrape is
// there in any case, until nobody serves it. OTEL_SDK_DISABLED=true turns both signals off here, not
// the scrape.
//
// The stock exporters read OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL (http/protobuf unless set, grpc; for
// traces also http/json), _HEADERS, _TIMEOUT, _COMPRESSION, _CERTIFICATE, _CLIENT_CERTIFICATE,
// _CLIENT_KEY and _INSECURE, each also as _TRACES_ and _METRICS_,
// OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE and _DEFAULT_HISTOGRAM_AGGREGATION; the SDK reads
// OTEL_BSP_, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and its limits. This package reads
// OTEL_METRIC_EXPORT_INTERVAL and _TIMEOUT, OTEL_TRACES_SAMPLER and _ARG, and OTEL_PROPAGATORS. A value
// that is wrong is an error of [New], where the SDK would go on with another one.
//
// # Pull or push
//
// Both give the same series, those of the Go runtime and the process too, with the same values, and one
// store that takes both counts everything twice. Choose by OTEL_METRICS_EXPORTER: otlp for the push,
// prometheus or none to leave it out. Where both are wanted, send each to a store of its own, or tell
// them apart by the labels job and instance: a scrape has those of the scrape configuration, a push has
// service.namespace/service.name and service.instance.id of the resource (set it in
// OTEL_RESOURCE_ATTRIBUTES, or all processes of a service are one series).
//
// Metrics of the runtime and of client_golang's collectors are cumulative even where the preference is
// delta.
//
// # Sampling
//
// A message of a long connection is a root span with a link to the handshake. A sampler that knows
// parents alone would take a tenth of the handshakes and then a tenth of the messages of all
// connections. Under parentbased_always_on, which is the default, parentbased_always_off and
// parentbased_traceidratio, a root span with links therefore follows what it is linked to (see package
// sampling): sampled with a sampled handshake, never thinned a second time, and dropped with an
// unsampled one. The variable decides about what has neither parent nor link: the handshake.
// always_on, always_off and traceidratio look at neither, as their names say.
//
// Where the application itself chooses messages of unsampled connections, by a ratio of its own,
// [WithLinkedNotSampled] with sdktrace.AlwaysSample keeps its choice.
//
// # When the backend is down
//
// Nothing waits for it. At most OTEL_BSP_MAX_QUEUE_SIZE spans (2048) are held, those in an export
// included; more are dropped. Metrics are collected anew for each export, so that counters catch up.
// A failed export is tried again within its timeout: OTEL_EXPORTER_OTLP_TIMEOUT,
// OTEL_BSP_EXPORT_TIMEOUT and OTEL_METRIC_EXPORT_TIMEOUT, the first to pass. otlp_spans_dropped_total
// (by reason: queue_full, export_failed), otlp_spans_exported_total, otlp_metric_exports_total and
// otlp_metric_exports_failed_total say in the scrape what became of it. With delta temporality an
// export that fails is lost, which is the SDK's way.
//
// An observable callback that returns an error costs its own series alone, and one that panics that
// export, unlike with the SDK's PeriodicReader.
package otlp
