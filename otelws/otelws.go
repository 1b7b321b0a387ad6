package otelws

import (
	"fmt"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/table"
	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/tracing"
)

// ScopeName is the instrumentation scope of the instruments.
const ScopeName = "github.com/otelws/otelws-go/otelws"

// Version is the version of the instrumentation scope, and of the module.
const Version = tracing.Version

// Instrumentation watches the connections of servers and clients. It is made
// by [New], once for a process as a rule, and is safe for concurrent use.
//
// Several on one MeterProvider add up: each connection counts once, by the
// outermost Handler or Transport that it passes. [Instrumentation.Close] takes one
// away again.
type Instrumentation struct {
	config   *config
	delegate atomic.Pointer[metric.MeterProvider] // of a stand-in, once it is set
	members  *members
	closed   atomic.Bool
	server   *side
	client   *side
	spans    *tracing.Connections

	kinds *tap.Kinds // nil where they are not read

	table    table.Table[*connection]    // the open connections
	ended    table.Ring[EndedConnection] // the last that have ended
	opening  atomic.Int64                // connections whose response is going out
	ending   atomic.Int64                // connections whose end is being told
	draining atomic.Pointer[drainConfig]
	wheels   wheels

	unreadable [tap.Protocols]atomic.Bool // what has been reported
}

// New returns an Instrumentation, or an error that says what is wrong with the
// options. It computes how many time series they can come to, and refuses
// those above the budget before the first connection.
func New(opts ...Option) (*Instrumentation, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("otelws: %w", err)
	}
	i := &Instrumentation{
		config: cfg,
		spans:  tracing.NewConnections(cfg.tracer, cfg.propagator, cfg.queryTrace, cfg.public),
	}
	if cfg.kinds != nil {
		i.kinds = tap.NewKinds(cfg.kinds)
	}
	if err := i.join(); err != nil {
		return nil, fmt.Errorf("otelws: %w", err)
	}
	for _, h := range cfg.heartbeats {
		if h != nil {
			h.wheel = i.wheels.of(h)
		}
	}
	i.server.use()
	return i, nil
}

// identity is what tells the MeterProvider from another. The API's stand-in for
// a global one is one with that which is set after it.
func (i *Instrumentation) identity() any {
	provider := i.config.provider
	if isStandIn(provider) {
		if set := otel.GetMeterProvider(); !isStandIn(set) {
			i.delegate.CompareAndSwap(nil, &set)
		}
		if set := i.delegate.Load(); set != nil {
			provider = *set
		}
	}
	if wrapped, ok := provider.(interface{ Unwrap() metric.MeterProvider }); ok {
		provider = wrapped.Unwrap()
	}
	if !reflect.ValueOf(provider).Comparable() {
		return i
	}
	return provider
}

func isStandIn(mp metric.MeterProvider) bool {
	return reflect.TypeOf(mp).String() == "*global.meterProvider"
}
