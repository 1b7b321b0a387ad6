package histogram

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
)

// Exemplars returns the function that offers a value recorded under attrs as an exemplar, whose
// trace is that of ctx. It is safe for concurrent use.
func (h *Histogram) Exemplars(attrs attribute.Set) func(ctx context.Context, value int64) {
	h.registry.mu.Lock()
	defer h.registry.mu.Unlock()
	p := h.registry.at(h.histogram, attrs)
	return func(ctx context.Context, value int64) {
		at, v := time.Now(), exemplar.NewValue(value)
		for _, r := range *p.reservoirs.Load() {
			r.Offer(ctx, at, v, nil)
		}
	}
}
