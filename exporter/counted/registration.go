package counted

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
)

// registration is the registration of one observer of a histogram.
type registration struct {
	embedded.Registration

	all       *Histograms
	histogram *histogram
	observer  *observer
}

// Unregister implements metric.Registration. Later calls do nothing.
func (r *registration) Unregister() error {
	r.all.unregister(r.histogram, r.observer)
	return nil
}

// exemplars returns a function that offers a value, recorded under attrs, as an exemplar with the
// trace in ctx. The function is safe for concurrent use.
func (r *registration) exemplars(attrs attribute.Set) func(ctx context.Context, value int64) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	p := r.all.at(r.histogram, attrs)
	return func(ctx context.Context, value int64) {
		at, v := time.Now(), exemplar.NewValue(value)
		for _, reservoir := range *p.reservoirs.Load() {
			reservoir.Offer(ctx, at, v, nil)
		}
	}
}
