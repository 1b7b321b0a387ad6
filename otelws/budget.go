package otelws

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/metric"
)

// factor is one label in the product that gives the number of series.
type factor struct {
	name   string
	values []string
}

// worstCase is the maximum number of series of one instrument.
type worstCase struct {
	name    string
	factors []factor
	points  int // number of time series for each attribute set
}

// sets returns the product of the factors. It stops at a billion.
func (w worstCase) sets() int64 {
	n := int64(1)
	for _, f := range w.factors {
		n = min(n*min(int64(len(f.values)), 1e9), 1e9)
	}
	return n
}

func (w worstCase) series() int64 { return w.sets() * int64(w.points) }

// String shows the multiplication.
func (w worstCase) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", w.name)
	for _, f := range w.factors {
		fmt.Fprintf(&b, "%d %s × ", len(f.values), f.name)
	}
	fmt.Fprintf(&b, "%d series = %d", w.points, w.series())
	return b.String()
}

// all yields every attribute set, as text.
func (w worstCase) all(yield func(set string)) {
	var product func(set string, rest []factor)
	product = func(set string, rest []factor) {
		if len(rest) == 0 {
			yield(set)
			return
		}
		for _, v := range rest[0].values {
			product(set+rest[0].name+"="+v+"\xff", rest[1:])
		}
	}
	product("", w.factors)
}

// checkBudget returns an error if the configuration alone has too many attribute sets for one
// instrument, or too many time series.
func checkBudget(c *config, all []worstCase) error {
	total := int64(0)
	for _, w := range all {
		if err := c.limit.check(w.sets(), w.String()); err != nil {
			return err
		}
		total += w.series()
	}
	if total <= int64(c.budget) {
		return nil
	}
	slices.SortStableFunc(all, func(a, b worstCase) int { return cmp.Compare(b.series(), a.series()) })
	worst := make([]string, 3)
	for i := range worst {
		worst[i] = all[i].String()
	}
	return fmt.Errorf("worst case of %d time series is above the budget of %d: declare fewer values or raise WithSeriesBudget (%s; and %d more instruments)",
		total, c.budget, strings.Join(worst, "; "), len(all)-len(worst))
}

// worstCases returns the worst case of each instrument of one side.
func worstCases(r role, c *config, meter metric.Meter) []worstCase {
	var app []factor
	for _, e := range enumsOf(r, c.enums) {
		app = append(app, factor{string(e.key), e.values})
	}
	on := func(g InstrumentGroup, own ...factor) []factor {
		if c.groups&g == 0 {
			return own
		}
		return append(slices.Clone(app), own...)
	}
	withApp := func(own ...factor) []factor { return append(slices.Clone(app), own...) }

	code := factor{string(keyCode), c.codes.values}
	initiator := factor{string(keyInitiator), initiators[:]}
	opcode := factor{string(keyOpcode), opcodes[:]}
	direction := factor{string(keyDirection), directionNames[:]}
	status := factor{string(keyStatus), texts(statuses[:])}
	errorType := factor{string(keyErrorType), errorTypes}

	kind := factor{string(keyKind), c.kindNames()}
	var sizeKind []factor
	if c.sizesByKind {
		sizeKind = []factor{kind}
	}

	type instrument struct {
		definition definition
		factors    []factor
	}
	cases := []instrument{
		{connectionsActive, withApp()},
		{connectionsOpened, withApp()},
		{connectionsClosed, withApp(code)},
		{messageReceived, on(MessageInstruments, sizeKind...)},
		{messageSent, on(MessageInstruments, sizeKind...)},
		{heartbeatRTT, on(HeartbeatInstruments)},
		{heartbeatMissed, on(HeartbeatInstruments)},
		{connectionDuration, on(DurationInstruments, code, initiator)},
		{connectionIdle, []factor{{string(keyCode), idleCodes[:]}, initiator}},
		{handshakeDuration, withApp(status)},
		{frames, on(TrafficInstruments, direction, opcode)},
		{ioBytes, on(TrafficInstruments, direction)},
		{writeTime, on(TrafficInstruments)},
		{drainConnections, []factor{{string(keyOutcome), drainOutcomes[:]}}},
		{protocolErrors, []factor{errorType}},
	}
	if c.kinds != nil {
		cases = append(cases,
			instrument{messagesByKind, on(MessageInstruments, direction, kind)},
			instrument{messagesSizeByKind, on(MessageInstruments, direction, kind)})
	}
	if c.decoded {
		cases = append(cases,
			instrument{compressionWire, on(TrafficInstruments, direction)},
			instrument{compressionDecoded, on(TrafficInstruments, direction)})
	}
	if c.tcp {
		cases = append(cases, instrument{tcpMinRTT, nil}, instrument{tcpRetransmits, nil}, instrument{tcpUnsent, nil})
	}
	worst := make([]worstCase, len(cases))
	for i, k := range cases {
		worst[i] = worstCase{name: k.definition.name(r), factors: k.factors, points: 1}
		if b := k.definition.bounds; b != nil && !isExponential(meter, k.definition, r) {
			worst[i].points = len(b) + 3 // the buckets, +Inf, sum and count
		}
	}
	return worst
}

// isExponential reports whether the meter is known to give a histogram exponential buckets in every
// reader. It is then a single series, a native histogram.
func isExponential(meter metric.Meter, d definition, r role) bool {
	m, ok := meter.(interface {
		ExponentialHistogram(name, description, unit string) bool
	})
	return ok && m.ExponentialHistogram(d.name(r), d.description, d.unit)
}

func texts(numbers []int) []string {
	all := make([]string, len(numbers))
	for i, n := range numbers {
		all[i] = strconv.Itoa(n)
	}
	return all
}
