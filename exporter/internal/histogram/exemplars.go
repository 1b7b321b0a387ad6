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
	due := h.registry.at(h.histogram, attrs).due
	return func(ctx context.Context, value int64) {
		at, v := time.Now(), exemplar.NewValue(value)
		for i := range due {
			due[i].reservoir.Offer(ctx, at, v, nil)
		}
	}
}
