package otelwstest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/otlptranslator"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Metrics is a MeterProvider for tests. Its methods show the recorded metrics under their
// Prometheus names. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	provider *sdkmetric.MeterProvider
}

// NewMetrics returns a Metrics that has recorded nothing. The end of the test shuts it down. It
// fails the test if it cannot create the provider.
func NewMetrics(tb testing.TB, opts ...sdkmetric.Option) *Metrics {
	tb.Helper()
	m := &Metrics{registry: prometheus.NewPedanticRegistry()}
	reader, err := otelprom.New(
		otelprom.WithRegisterer(m.registry),
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(),
	)
	if err != nil {
		tb.Fatalf("otelwstest: failed to create the Prometheus exporter: %v", err)
	}
	m.provider = sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(reader))...)
	tb.Cleanup(func() { _ = m.provider.Shutdown(context.Background()) })
	return m
}

// MeterProvider returns the provider to which the code under test records.
func (m *Metrics) MeterProvider() metric.MeterProvider { return m.provider }

// Gatherer returns the metrics in the form of a Prometheus registry.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Value returns the value of a sample, and reports whether the sample exists. Name the sample as in
// a scrape, with its labels in alphabetical order and le last:
// `ws_connections_closed_total{code="1000"}`.
func (m *Metrics) Value(sample string) (float64, bool) {
	for _, s := range m.samples() {
		if s.name == sample {
			return s.value, true
		}
	}
	return 0, false
}

// WaitDiff waits until [Metrics.Diff] returns no difference. After ten seconds it fails the test
// with the last difference. It compares all samples, buckets and bytes included; use [Metrics.Wait]
// for a few of them.
func (m *Metrics) WaitDiff(tb testing.TB, want string) {
	tb.Helper()
	for deadline := time.Now().Add(waiting); ; time.Sleep(time.Millisecond) {
		diff := m.Diff(want)
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("otelwstest: want -, got +:\n%s", diff)
		}
	}
}

// waiting is the time limit of waits. It only matters for tests that fail.
var waiting = 10 * time.Second

// Wait waits until a sample has the given value. After ten seconds it fails the test. Use it to
// wait for the end of a connection, which happens on another goroutine.
func (m *Metrics) Wait(tb testing.TB, sample string, value float64) {
	tb.Helper()
	deadline := time.Now().Add(waiting)
	for {
		got, ok := m.Value(sample)
		if ok && got == value {
			return
		}
		if time.Now().After(deadline) {
			if !ok {
				tb.Fatalf("otelwstest: there is no sample %s%s", sample, m.instead(sample))
			}
			tb.Fatalf("otelwstest: sample %s is %v, and did not become %v", sample, got, value)
		}
		time.Sleep(time.Millisecond)
	}
}

// Text returns all samples, one on each line, in alphabetical order. A sample that depends on time
// has the value "~". Buckets of histograms that depend on time are left out.
func (m *Metrics) Text() string { return text(m.samples(), func(sample) bool { return true }) }

// Changed is like [Metrics.Text], without the samples that are 0.
func (m *Metrics) Changed() string {
	return text(m.samples(), func(s sample) bool { return s.value != 0 })
}

// Diff compares [Metrics.Changed] with want. It returns "" if they are equal. Otherwise it returns
// the different lines: missing lines are marked with -, unexpected lines with +. The order of
// lines, empty lines, and spaces around lines do not matter. It compares all samples, buckets and
// bytes included; use [Metrics.Wait] for a few of them.
func (m *Metrics) Diff(want string) string {
	wanted, got := lines(want), lines(m.Changed())
	var diff []string
	for line := range wanted {
		if !got[line] {
			diff = append(diff, line+" -")
		}
	}
	for line := range got {
		if !wanted[line] {
			diff = append(diff, line+" +")
		}
	}
	slices.Sort(diff)
	var b strings.Builder
	for _, line := range diff {
		text, mark := line[:len(line)-2], line[len(line)-1:]
		fmt.Fprintf(&b, "%s %s\n", mark, text)
	}
	return b.String()
}

// WriteTo writes the metrics in the Prometheus text format.
func (m *Metrics) WriteTo(w io.Writer) (int64, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return 0, fmt.Errorf("failed to gather: %w", err)
	}
	var written int64
	for _, f := range families {
		n, err := expfmt.MetricFamilyToText(w, f)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

type sample struct {
	name  string
	value float64
	timed bool
}

func (m *Metrics) samples() []sample {
	families, err := m.registry.Gather()
	if err != nil {
		return []sample{{name: "otelwstest: failed to gather: " + err.Error(), value: 1}}
	}
	var all []sample
	for _, f := range families {
		timed := strings.Contains(f.GetName(), "_seconds")
		for _, metric := range f.GetMetric() {
			all = append(all, samplesOf(f.GetName(), timed, metric)...)
		}
	}
	slices.SortFunc(all, func(a, b sample) int { return strings.Compare(a.name, b.name) })
	return all
}

func samplesOf(name string, timed bool, m *dto.Metric) []sample {
	labels := m.GetLabel()
	if h := m.GetHistogram(); h != nil {
		all := []sample{
			{name: name + "_count" + braces(labels), value: float64(h.GetSampleCount())},
			{name: name + "_sum" + braces(labels), value: h.GetSampleSum(), timed: timed},
		}
		for _, b := range h.GetBucket() {
			if timed {
				break
			}
			le := &dto.LabelPair{Name: new("le"), Value: new(strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))}
			all = append(all, sample{
				name:  name + "_bucket" + braces(append(slices.Clip(labels), le)),
				value: float64(b.GetCumulativeCount()),
			})
		}
		return all
	}
	var value float64
	switch {
	case m.GetGauge() != nil:
		value = m.GetGauge().GetValue()
	case m.GetCounter() != nil:
		value = m.GetCounter().GetValue()
	}
	return []sample{{name: name + braces(labels), value: value, timed: timed}}
}

func braces(labels []*dto.LabelPair) string {
	if len(labels) == 0 {
		return ""
	}
	pairs := make([]string, len(labels))
	for i, l := range labels {
		pairs[i] = fmt.Sprintf("%s=%q", l.GetName(), l.GetValue())
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func text(samples []sample, keep func(sample) bool) string {
	var b strings.Builder
	for _, s := range samples {
		if !keep(s) {
			continue
		}
		value := strconv.FormatFloat(s.value, 'g', -1, 64)
		if s.timed {
			value = "~"
		}
		fmt.Fprintf(&b, "%s %s\n", s.name, value)
	}
	return b.String()
}

func lines(text string) map[string]bool {
	all := make(map[string]bool)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all[line] = true
		}
	}
	return all
}
