package otlp

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelws/otelws-go/exporter/sampling"
)

// Defaults of the OpenTelemetry specification.
const (
	defaultProtocol       = protocolHTTP
	defaultExportInterval = time.Minute
	defaultExportTimeout  = 30 * time.Second
	defaultSampler        = "parentbased_always_on"
	defaultPropagators    = "tracecontext,baggage"

	// The SDK allocates the whole queue at once.
	maxQueueSize = 1 << 20
)

const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
	protocolJSON = "http/json"
)

// settings holds the variables that the stock exporters do not read. The protocol of a signal that
// is not exported is empty.
type settings struct {
	traces, metrics  string
	interval         time.Duration
	timeout          time.Duration
	queueSize, batch int
	sampler          sdktrace.Sampler
	propagator       propagation.TextMapPropagator
}

// getenv treats an empty value as unset, as the specification demands.
func getenv(key string) string { return strings.TrimSpace(os.Getenv(key)) }

func readEnvironment(cfg config) (settings, error) {
	var s settings
	disabled, err := boolean("OTEL_SDK_DISABLED")
	if err != nil {
		return s, err
	}
	if s.propagator, err = readPropagator(); err != nil || disabled {
		return s, err
	}
	if s.traces, err = readSignal("TRACES", protocolGRPC, protocolHTTP, protocolJSON); err != nil {
		return s, err
	}
	if s.metrics, err = readSignal("METRICS", protocolGRPC, protocolHTTP); err != nil {
		return s, err
	}
	if s.traces != "" {
		if err := s.readTraces(cfg); err != nil {
			return s, err
		}
	}
	if s.metrics != "" {
		if err := s.readMetrics(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// readSignal returns the protocol of a signal, or an empty string if the signal is not exported.
func readSignal(signal string, protocols ...string) (string, error) {
	wanted, err := exporterWanted(signal)
	if err != nil || !wanted {
		return "", err
	}
	key, protocol := signalVariable(signal, "PROTOCOL")
	if protocol == "" {
		protocol = defaultProtocol
	}
	if !slices.Contains(protocols, protocol) {
		return "", invalid(key, protocol, "use "+enumerate(protocols))
	}
	return protocol, validateConnection(signal, protocol)
}

func exporterWanted(signal string) (bool, error) {
	key := "OTEL_" + signal + "_EXPORTER"
	names := list(getenv(key))
	if len(names) == 0 {
		_, endpoint := signalVariable(signal, "ENDPOINT")
		return endpoint != "", nil
	}
	known := []string{"otlp", "none"}
	if signal == "METRICS" {
		known = append(known, "prometheus")
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return false, invalid(key, name, "use "+enumerate(known))
		}
		if name == "none" && len(names) > 1 {
			return false, invalid(key, getenv(key), "none stands alone")
		}
	}
	return slices.Contains(names, "otlp"), nil
}

func (s *settings) readTraces(cfg config) error {
	var err error
	if s.sampler, err = readSampler(cfg); err != nil {
		return err
	}
	if s.queueSize, err = integer("OTEL_BSP_MAX_QUEUE_SIZE", sdktrace.DefaultMaxQueueSize, 1, maxQueueSize); err != nil {
		return err
	}
	batch := min(sdktrace.DefaultMaxExportBatchSize, s.queueSize)
	if s.batch, err = integer("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch, 1, s.queueSize); err != nil {
		return err
	}
	for _, key := range []string{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"} {
		if _, err := milliseconds(key, time.Second); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) readMetrics() error {
	var err error
	if s.interval, err = milliseconds("OTEL_METRIC_EXPORT_INTERVAL", defaultExportInterval); err != nil {
		return err
	}
	if s.timeout, err = milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", defaultExportTimeout); err != nil {
		return err
	}
	for key, known := range map[string][]string{
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE":        {"cumulative", "delta", "lowmemory"},
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": {"explicit_bucket_histogram", "base2_exponential_bucket_histogram"},
	} {
		if v := getenv(key); v != "" && !slices.Contains(known, strings.ToLower(v)) {
			return invalid(key, v, "use "+enumerate(known))
		}
	}
	return nil
}

// readSampler makes the sampler. Samplers that follow parents also follow links.
func readSampler(cfg config) (sdktrace.Sampler, error) {
	if cfg.sampler != nil {
		return cfg.sampler, nil
	}
	const key, argKey = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
	given := getenv(key)
	if given == "" {
		given = defaultSampler
	}
	name, parentBased := strings.CutPrefix(strings.ToLower(given), "parentbased_")
	var s sdktrace.Sampler
	switch name {
	case "always_on":
		s = sdktrace.AlwaysSample()
	case "always_off":
		s = sdktrace.NeverSample()
	case "traceidratio":
		ratio := 1.0
		if arg := getenv(argKey); arg != "" {
			var err error
			// The condition is written so that it also rejects NaN.
			if ratio, err = strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
				return nil, invalid(argKey, arg, "use a number from 0 to 1")
			}
		}
		s = sdktrace.TraceIDRatioBased(ratio)
	default:
		return nil, invalid(key, given, "use always_on, always_off or traceidratio, or one of them after parentbased_")
	}
	if parentBased {
		s = sdktrace.ParentBased(sampling.LinkBased(s, sampling.WithLinkedNotSampled(cfg.linkedNotSampled)))
	}
	return s, nil
}

func readPropagator() (propagation.TextMapPropagator, error) {
	const key = "OTEL_PROPAGATORS"
	value := getenv(key)
	if value == "" {
		value = defaultPropagators
	}
	p, err := autoprop.TextMapPropagator(list(value)...)
	if err != nil {
		return nil, invalid(key, value, "use tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace or none")
	}
	return p, nil
}

// signalVariable returns the signal's own OTEL_EXPORTER_OTLP_ variable if it is set, or else the
// variable for all signals.
func signalVariable(signal, name string) (key, value string) {
	key = "OTEL_EXPORTER_OTLP_" + signal + "_" + name
	if value = getenv(key); value == "" {
		key = "OTEL_EXPORTER_OTLP_" + name
		value = getenv(key)
	}
	return key, value
}

func boolean(key string) (bool, error) {
	v := getenv(key)
	if v == "" || strings.EqualFold(v, "false") {
		return false, nil
	}
	if strings.EqualFold(v, "true") {
		return true, nil
	}
	return false, invalid(key, v, "use true or false")
}

func integer(key string, or, low, high int) (int, error) {
	v := getenv(key)
	if v == "" {
		return or, nil
	}
	// The SDK accepts no spaces around the number.
	n, err := strconv.Atoi(os.Getenv(key))
	if err != nil || n < low || n > high {
		return 0, invalid(key, v, fmt.Sprintf("use a number from %d to %d", low, high))
	}
	return n, nil
}

func milliseconds(key string, or time.Duration) (time.Duration, error) {
	const day = 24 * 60 * 60 * 1000
	n, err := integer(key, int(or.Milliseconds()), 1, day)
	if err != nil {
		return 0, invalid(key, getenv(key), fmt.Sprintf("use a number of milliseconds from 1 to %d", day))
	}
	return time.Duration(n) * time.Millisecond, nil
}

func list(value string) []string {
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func enumerate(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func invalid(key, value, advice string) error {
	return fmt.Errorf("invalid %s %q: %s", key, value, advice)
}
