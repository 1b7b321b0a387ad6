package otlp

import "github.com/prometheus/client_golang/prometheus"

// stats counts exports and losses. These metrics are in the scrape, which works when nothing can be
// pushed.
type stats struct {
	spansExported, spansDropped, spansFailed prometheus.Counter
	metricExports, metricExportsFailed       prometheus.Counter
}

func newStats() *stats {
	lost := func(reason string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Name:        "otlp_spans_dropped_total",
			Help:        "Sampled spans that were not exported, by reason.",
			ConstLabels: prometheus.Labels{"reason": reason},
		})
	}
	return &stats{
		spansExported: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "otlp_spans_exported_total", Help: "Spans that the backend accepted.",
		}),
		spansDropped: lost("queue_full"),
		spansFailed:  lost("export_failed"),
		metricExports: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "otlp_metric_exports_total", Help: "Attempts to push all metrics.",
		}),
		metricExportsFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "otlp_metric_exports_failed_total", Help: "Attempts to push all metrics that failed, completely or in part.",
		}),
	}
}

func (s *stats) collectors(spans, metrics bool) []prometheus.Collector {
	var cs []prometheus.Collector
	if spans {
		cs = append(cs, s.spansExported, s.spansDropped, s.spansFailed)
	}
	if metrics {
		cs = append(cs, s.metricExports, s.metricExportsFailed)
	}
	return cs
}
