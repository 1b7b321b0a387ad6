package otelws

import (
	"fmt"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/inspect"
	"github.com/otelws/otelws-go/otelws/internal/span"
	"github.com/otelws/otelws-go/otelws/internal/table"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
	"github.com/otelws/otelws-go/otelws/internal/wheel"
	"github.com/otelws/otelws-go/tracing"
)

// ScopeName is the name of the instrumentation scope of all instruments and spans.
const ScopeName = "github.com/otelws/otelws-go/otelws"

// Version is the version of the module, and of the instrumentation scope.
const Version = tracing.Version

// Instrumentation watches the connections of servers and clients. A process usually needs one. It
// is safe for concurrent use.
//
// Several Instrumentations on one MeterProvider add up in the same time series. If a connection
// passes several of their Handlers or Transports, only the outermost one counts it.
// [Instrumentation.Close] removes an Instrumentation.
type Instrumentation struct {
	config   *config
	delegate atomic.Pointer[metric.MeterProvider] // the global provider that replaced the API's placeholder
	members  *members
	closed   atomic.Bool
	server   *side
	client   *side
	spans    *span.Source

	kinds *inspect.Kinds // nil if they are not read

	table table.Table[*connection]    // the open connections
	ended table.Ring[EndedConnection] // the last connections that ended

	handshakes atomic.Int64 // handshakes in progress
	opening    atomic.Int64 // connections whose 101 response is being written
	ending     atomic.Int64 // connections whose WithOnClose functions are running

	draining atomic.Pointer[drainConfig]
	wheels   wheel.Set

	unreadable [upgrade.Protocols]atomic.Bool // protocols that have been reported
	ownUpgrade atomic.Bool                    // a RoundTripper that upgrades by itself has been reported
}

// New returns an Instrumentation. It computes the worst-case number of time series of its options.
// It returns an error if that number is above the budget (see [WithSeriesBudget]), or if an option
// is invalid. It never panics: if the MeterProvider panics, it returns an error.
func New(opts ...Option) (in *Instrumentation, err error) {
	defer func() {
		if v := recover(); v != nil {
			in, err = nil, fmt.Errorf("otelws: the MeterProvider panicked: %v", v)
		}
	}()
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("otelws: %w", err)
	}
	i := &Instrumentation{
		config: cfg,
		spans:  span.NewSource(span.Scope{Name: ScopeName, Version: Version}, cfg.tracerProvider, cfg.propagator, cfg.queryTrace, cfg.public),
	}
	if cfg.kinds != nil {
		i.kinds = inspect.NewKinds(cfg.kinds)
	}
	if err := i.join(); err != nil {
		return nil, fmt.Errorf("otelws: %w", err)
	}
	for _, h := range cfg.heartbeats {
		if h != nil {
			h.wheel = i.wheels.For(h.timeout)
		}
	}
	i.server.use()
	return i, nil
}

// identity returns a value that identifies the MeterProvider. For the API's placeholder of the
// global provider, it is the provider that was set later.
func (i *Instrumentation) identity() any {
	provider := i.config.meterProvider
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

// sameProvider reports whether a and b have the same MeterProvider.
func sameProvider(a, b *Instrumentation) bool { return a.identity() == b.identity() }

// admits reports whether i is not closed. If so, it counts a handshake, which [handshake.finish] ends.
func (i *Instrumentation) admits() bool {
	i.handshakes.Add(1) // before the look at closed, and Close looks in the opposite order
	if i.closed.Load() {
		i.handshakes.Add(-1)
		return false
	}
	return true
}

// isIdle reports whether i has no connection: none whose handshake is in progress, none that is open,
// none whose response is being written, and none whose WithOnClose functions are running.
func (i *Instrumentation) isIdle() bool {
	return i.handshakes.Load() == 0 && i.opening.Load() == 0 && i.table.Len() == 0 && i.ending.Load() == 0
}
