package otelws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/otelws/otelws-go/otelws/internal/count"
)

// DefaultSeriesBudget is the number of time series above which New refuses a
// configuration, unless [WithSeriesBudget] says otherwise. A sample_limit of the
// scrape is to be above it.
const DefaultSeriesBudget = 20_000

// maxCombinations is how many attribute sets of one instrument the SDK keeps apart: of
// its limit of 2000, one is the overflow's.
const maxCombinations = 1999

// factor is one label in the product that makes an instrument's series.
type factor struct {
	name string
	n    int
}

// worstCase is the most that one instrument can come to.
type worstCase struct {
	name    string
	factors []factor
	points  int // time series of one attribute set
}

// sets is the product of the factors; past a billion it counts no further.
func (w worstCase) sets() int64 {
	n := int64(1)
	for _, f := range w.factors {
		n = min(n*min(int64(f.n), 1e9), 1e9)
	}
	return n
}

func (w worstCase) series() int64 { return w.sets() * int64(w.points) }

// String shows the multiplication.
func (w worstCase) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", w.name)
	for _, f := range w.factors {
		fmt.Fprintf(&b, "%d %s × ", f.n, f.name)
	}
	fmt.Fprintf(&b, "%d series = %d", w.points, w.series())
	return b.String()
}

func checkBudget(c *config) error {
	all := append(worstCases(server, c), worstCases(client, c)...)
	total := int64(0)
	for _, w := range all {
		if n := w.sets(); n > maxCombinations {
			return fmt.Errorf("%d attribute sets of one instrument are more than the %d that the SDK keeps apart: declare fewer values (%s)", n, maxCombinations, w)
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

// worstCases computes what the connections of one side can come to.
func worstCases(r role, c *config) []worstCase {
	var app []factor
	for _, e := range enumsOf(r, c.enums) {
		app = append(app, factor{string(e.key), len(e.values)})
	}
	on := func(g Group, own ...factor) []factor {
		if c.groups&g == 0 {
			return own
		}
		return append(slices.Clone(app), own...)
	}
	withApp := func(own ...factor) []factor { return append(slices.Clone(app), own...) }

	code := factor{string(keyCode), len(c.codes.values)}
	initiator := factor{string(keyInitiator), len(initiators)}
	opcode := factor{string(keyOpcode), len(opcodes)}
	direction := factor{string(keyDirection), count.Directions}
	status := factor{string(keyStatus), len(statuses)}
	errorType := factor{string(keyErrorType), len(errorTypes)}

	type instrument struct {
		definition definition
		factors    []factor
	}
	cases := []instrument{
		{connectionsActive, withApp()},
		{connectionsOpened, withApp()},
		{connectionsClosed, withApp(code)},
		{messageReceived, on(Messages)},
		{messageSent, on(Messages)},
		{heartbeatRTT, on(Heartbeats)},
		{heartbeatMissed, on(Heartbeats)},
		{connectionDuration, on(Durations, code, initiator)},
		{handshakeDuration, withApp(status)},
		{frames, on(Traffic, direction, opcode)},
		{ioBytes, on(Traffic, direction)},
		{writeTime, on(Traffic)},
		{drainConnections, []factor{{string(keyOutcome), len(drainOutcomes)}}},
		{protocolErrors, []factor{errorType}},
	}
	if c.decoded {
		cases = append(cases,
			instrument{compressionWire, on(Traffic, direction)},
			instrument{compressionDecoded, on(Traffic, direction)})
	}
	worst := make([]worstCase, len(cases))
	for i, k := range cases {
		worst[i] = worstCase{name: k.definition.name(r), factors: k.factors, points: 1}
		if b := k.definition.bounds; b != nil {
			worst[i].points = len(b) + 3 // a bucket each, +Inf, sum and count
		}
	}
	return worst
}

func enumsOf(r role, all []*enum) []*enum {
	var enums []*enum
	for _, e := range all {
		if r == server || !e.server {
			enums = append(enums, e)
		}
	}
	return enums
}
