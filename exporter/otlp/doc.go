// Package otlp sends the traces and metrics of a process to an OpenTelemetry Collector, or to any
// other OTLP receiver. The standard OTEL_ environment variables configure it. It is separate from
// package exporter, so that programs which only need Prometheus do not link gRPC.
//
// A program with everything, scrape, push and traces:
//
//	push, err := otlp.New(ctx) // reads the OTEL_ variables
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
// A signal, traces or metrics, is exported if OTEL_TRACES_EXPORTER or OTEL_METRICS_EXPORTER
// contains otlp. If the variable is not set, the signal is exported if an endpoint is set:
// OTEL_EXPORTER_OTLP_ENDPOINT or the signal's own variable. This is stricter than the
// specification, by whose defaults every process pushes to localhost.
//
// The values of both variables are otlp and none. Metrics also accept prometheus, which stands for
// the scrape of package exporter, and a list such as otlp,prometheus. These variables do not turn
// the scrape off. OTEL_SDK_DISABLED=true turns both signals of this package off, but not the
// scrape.
//
// The stock exporters read OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS, _TIMEOUT,
// _COMPRESSION, _CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY and _INSECURE. Each has a form for
// one signal, such as OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. The protocol is http/protobuf by default,
// usually on port 4318, or grpc, usually on port 4317; traces also accept http/json. The stock
// exporters also read OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE and
// _DEFAULT_HISTOGRAM_AGGREGATION.
//
// The SDK reads the OTEL_BSP_ variables, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and its
// limits. This package reads OTEL_METRIC_EXPORT_INTERVAL and _TIMEOUT, OTEL_TRACES_SAMPLER and
// _ARG, and OTEL_PROPAGATORS.
//
// If a value is invalid, [New] returns an error. The SDK alone would continue with a default.
//
// # Pull or push
//
// Scrape and push give the same series with the same values, including the metrics of the Go
// runtime and the process. A store that takes both therefore counts everything twice. Choose one by
// OTEL_METRICS_EXPORTER: otlp turns the push on, and prometheus or none turns it off.
//
// If you want both, send each to a store of its own, or distinguish them by the labels job and
// instance. In a scrape, these labels come from the scrape configuration. In a push, they are
// service.namespace/service.name and service.instance.id of the resource. If nothing sets
// service.instance.id, it is a UUID that is random for each process.
//
// Metrics of the Go runtime and of client_golang's collectors are cumulative, even if the
// temporality preference is delta.
//
// # Sampling
//
// A message of a long connection is a root span with a link to the handshake. A sampler that only
// follows parents would sample a tenth of the handshakes, and then, independently, a tenth of the
// messages of all connections.
//
// Therefore the samplers parentbased_always_on (the default), parentbased_always_off and
// parentbased_traceidratio also follow links: a root span with links is sampled if the handshake is
// sampled, and dropped otherwise; see package sampling. The ratio applies only to spans without
// parent and links, such as handshakes. The samplers always_on, always_off and traceidratio follow
// neither parents nor links.
//
// If the application itself chooses messages of unsampled connections, use [WithLinkedNotSampled]
// with sdktrace.AlwaysSample, which respects that choice.
//
// # When the backend is down
//
// Nothing waits for the backend. The exporter holds at most OTEL_BSP_MAX_QUEUE_SIZE spans (by
// default 2048), including the spans of an export in progress, and drops further ones. Metrics are
// collected again for each export, so that counters catch up. With delta temporality, however, the
// data of a failed export is lost, as in the SDK.
//
// A failed export is tried again within the shorter of two time limits: OTEL_EXPORTER_OTLP_TIMEOUT,
// and OTEL_BSP_EXPORT_TIMEOUT or OTEL_METRIC_EXPORT_TIMEOUT.
//
// OTLP cannot encode a string that is not UTF-8, and forbids attributes without a key. The exporter
// replaces invalid bytes, and gives such an attribute the key exported_.
//
// These metrics in the scrape count the exports: otlp_spans_exported_total,
// otlp_spans_dropped_total with the reason (queue_full or export_failed), otlp_metric_exports_total
// and otlp_metric_exports_failed_total.
//
// If an observable callback fails or panics, only its own series are missing, provided that its
// instrument belongs to the exporter's MeterProvider, or to a provider that counted.Histograms.Wrap
// returned. With any other provider, the SDK's PeriodicReader exports nothing at all after an
// error, and a panic ends the process.
package otlp
