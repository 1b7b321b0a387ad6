package points

import (
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// overflow is the attribute of the data point that stands for all that the SDK keeps apart no longer.
const overflow attribute.Key = "otel.metric.overflow"

// OverflowLog logs, once for each instrument, that the SDK has run out of attribute sets for it.
type OverflowLog struct {
	Logger *slog.Logger
	logged sync.Map // of [2]string, a scope and an instrument
}

// Check looks for overflows in what was collected.
func (l *OverflowLog) Check(scopes []metricdata.ScopeMetrics) {
	for _, s := range scopes {
		for _, m := range s.Metrics {
			Each(m.Data, func(attrs *attribute.Set, _ time.Time) {
				if !attrs.HasValue(overflow) {
					return
				}
				if _, known := l.logged.LoadOrStore([2]string{s.Scope.Name, m.Name}, true); !known {
					l.Logger.Warn("an instrument has more attribute sets than its cardinality limit: what is recorded under further ones is in one series, without their attributes",
						"instrument", m.Name, "scope", s.Scope.Name,
						"remedy", "record fewer values of its attributes, or raise the limit by exporter.WithCardinalityLimit or OTEL_GO_X_CARDINALITY_LIMIT")
				}
			})
		}
	}
}
