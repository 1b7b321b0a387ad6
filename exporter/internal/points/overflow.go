package points

import (
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// overflow is the attribute of the series in which the SDK records everything above its cardinality
// limit.
const overflow attribute.Key = "otel.metric.overflow"

// OverflowLog logs, once for each instrument, that the instrument has exceeded the SDK's
// cardinality limit.
type OverflowLog struct {
	Logger *slog.Logger
	logged sync.Map // keys are [2]string: scope, instrument
}

// Check logs new overflows in a collection.
func (l *OverflowLog) Check(scopes []metricdata.ScopeMetrics) {
	for _, s := range scopes {
		for _, m := range s.Metrics {
			Each(m.Data, func(attrs *attribute.Set, _ time.Time) {
				if !attrs.HasValue(overflow) {
					return
				}
				if _, known := l.logged.LoadOrStore([2]string{s.Scope.Name, m.Name}, true); !known {
					l.Logger.Warn("an instrument exceeded its cardinality limit: further attribute sets share one series, without their attributes",
						"instrument", m.Name, "scope", s.Scope.Name,
						"remedy", "record fewer values of its attributes, or raise the limit by exporter.WithCardinalityLimit or OTEL_GO_X_CARDINALITY_LIMIT")
				}
			}, nil)
		}
	}
}
