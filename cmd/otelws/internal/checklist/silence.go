package checklist

import (
	"cmp"
	"context"
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hops"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// The parts of the connections that make a verdict: mostAged is for an age in
// common, and most for a silence.
const (
	most     = 0.5
	mostAged = 0.8
)

// checkSilence says where 1006 comes from, if it comes after the same silence or at
// the same age: then something between the peers cuts. What is known of the last
// connections that ended is exact, and that is asked for first.
func checkSilence(ctx context.Context, s *subject, i *Item) {
	judged, untold := 0, ""
	last := s.lastCuts(ctx)
	for _, role := range s.roles {
		idle, life := cuts(s.now, role+idleName, "peer"), cuts(s.now, role+durationName, "peer")
		dropped := s.judgeMissed(i, role)
		if idle.count < enough && !dropped {
			continue
		}
		judged++
		if dropped || judgeLast(i, last[role], role) {
			continue
		}
		if idle.judgeSilence(i) || life.judgeLife(i) || len(last[role]) >= enough {
			continue // of the last connections, exact times are known
		}
		untold = cmp.Or(untold, idle.untold(most, "had been silent for"), life.untold(mostAged, "were, at their end, of an age of"))
	}
	if judged == 0 {
		i.skip("too few connections have ended with 1006 to tell after what silence")
		return
	}
	if untold != "" {
		i.skip(untold)
		return
	}
	i.ok("the connections that ended with 1006 had no silence and no age in common")
}

const durationName = "connection_duration_seconds"

// cuts is the distribution of a metric over the connections that ended with 1006
// by an initiator. What has not been heard of any more, by timeout, was silent for
// as long as this side waits for pongs, whatever a hop does.
func cuts(s *scrape.Scrape, name, initiator string) distribution {
	f := s.Families[name]
	some := &dto.MetricFamily{}
	for _, m := range f.GetMetric() {
		if m.GetHistogram() != nil && scrape.Label(m, "code") == "1006" && scrape.Label(m, "initiator") == initiator {
			some.Metric = append(some.Metric, m)
		}
	}
	return newDistribution(name, some)
}

// judgeMissed says whether it has a verdict: where most pings have no answer, the
// connections are dead before the first one is sent. Clients that vanish have
// answered before.
func (s *subject) judgeMissed(i *Item, role string) bool {
	lost := cuts(s.now, role+durationName, "timeout")
	missed, pongs := 0.0, 0.0
	for _, m := range s.now.Families[role+"heartbeat_missed_total"].GetMetric() {
		missed += total(m)
	}
	for _, m := range s.now.Families[role+"heartbeat_rtt_seconds"].GetMetric() {
		pongs += float64(m.GetHistogram().GetSampleCount())
	}
	if lost.count < enough || missed < most*(missed+pongs) {
		return false
	}
	i.add(Warning, fmt.Sprintf("%s of %s pings had no answer, and %d connections ended by it: a hop between may drop what is silent, and tell nobody, in less time than passes between two pings",
		number(missed), number(missed+pongs), lost.count),
		"Ping more often. otelws probe, from where the clients are, tells the limit", role+"heartbeat_missed_total")
	return true
}

// bucket has n of the connections, above low and up to high.
type bucket struct {
	low, high float64
	n         uint64
	pair      bool // of neighbours
}

// buckets are those of the histogram. The last one is without an upper bound.
func (d *distribution) buckets() (all []bucket) {
	last, before := 0.0, uint64(0)
	add := func(bound float64, cumulative uint64) {
		cumulative = max(cumulative, before)
		all = append(all, bucket{low: last, high: bound, n: cumulative - before})
		last, before = bound, cumulative
	}
	for k, bound := range d.bounds {
		add(bound, d.counts[k])
	}
	add(math.Inf(1), d.count)
	return all
}

// pairs are each two neighbours among the buckets, as one. The times at which a hop
// cuts spread a little, and may do so around a bound.
func (d *distribution) pairs() (all []bucket) {
	single := d.buckets()
	for k, b := range single[1:] {
		all = append(all, bucket{single[k].low, b.high, single[k].n + b.n, true})
	}
	return all
}

func fullest(some []bucket) (b bucket) {
	for _, other := range some {
		if other.n > b.n {
			b = other
		}
	}
	return b
}

// fullest returns the bucket with the most. That is two neighbours as one where no
// bucket has a share of all, and the two together are narrow enough to mean one time.
func (d *distribution) fullest(share float64) bucket {
	single, pair := fullest(d.buckets()), fullest(d.pairs())
	enough := share * float64(d.count)
	if float64(single.n) < enough && float64(pair.n) >= enough && pair.high-pair.low <= pair.low/2 {
		return pair
	}
	return single
}

// shortest is the least limit of a hop, in seconds: peers leave at any time before.
const shortest = 1

// untold says which buckets may hide that a share of the connections has one time in
// common. It is empty if no bucket can: if fewer are in it, or if the sum of all
// times is too small for so many.
func (d *distribution) untold(share float64, had string) string {
	if d.count < enough {
		return ""
	}
	k := math.Ceil(share * float64(d.count))
	single, least := d.buckets(), 0.0
	for _, b := range single {
		least += float64(b.n) * b.low
	}
	for _, b := range single {
		needed := least + k*max(0, shortest-b.low)
		if float64(b.n) >= k && b.high >= shortest && needed <= d.sum {
			return d.cannotTell(b, had)
		}
	}
	for n, b := range d.pairs() {
		lower, upper := single[n], float64(single[n+1].n)
		needed := least + max(0, k-upper)*(lower.high-lower.low)
		if float64(b.n) >= k && lower.high >= shortest && needed <= d.sum {
			return d.cannotTell(b, had)
		}
	}
	return ""
}

func (d *distribution) cannotTell(b bucket, had string) string {
	between := fmt.Sprintf("%s to %s s", number(b.low), number(b.high))
	if math.IsInf(b.high, 1) {
		between = fmt.Sprintf("more than %s s", number(b.low))
	}
	return fmt.Sprintf("%d of %d connections that ended with 1006 %s %s: the buckets are too wide to tell whether a hop cuts there. otelws probe tells, and so does this check by an address of metrics beside which there is /debug/ws",
		b.n, d.count, had, between)
}

// judgeSilence says whether it has a verdict.
func (d *distribution) judgeSilence(i *Item) bool {
	b := d.fullest(most)
	low, high, n := b.low, b.high, b.n
	if float64(n) < most*float64(d.count) || low == 0 {
		return false // a peer that leaves may leave in the middle of anything
	}
	share := fmt.Sprintf("%.0f %% of %d connections that ended with 1006 had been silent for", 100*float64(n)/float64(d.count), d.count)
	for _, l := range hops.Idle {
		if !b.pair && low < l.Seconds && l.Seconds < high && high-low < l.Seconds/2 {
			i.add(Warning, fmt.Sprintf("%s %s s: a hop between cuts there (known for it: %s)", share, number(l.Seconds), l.Known),
				adviceOnSilence(l.Seconds), d.name)
			return true
		}
	}
	if math.IsInf(high, 1) {
		return false
	}
	at := low
	if mean := d.mean(); low < mean && mean < high {
		at = mean
	}
	i.add(Warning, fmt.Sprintf("%s between %s and %s s, all of them %s s on average: a hop between may cut there", share, number(low), number(high), number(d.mean())),
		fmt.Sprintf("Look for a limit of about %s s in the proxies between, and ping every %s s meanwhile", number(math.Round(at)), number(hops.Heartbeat(at))), d.name)
	return true
}

// judgeLife says whether it has a verdict.
func (d *distribution) judgeLife(i *Item) bool {
	if d.count < enough {
		return false
	}
	b := fullest(d.buckets())
	low, high, n := b.low, b.high, b.n
	for _, l := range hops.Life {
		if float64(n) >= mostAged*float64(d.count) && low < l.Seconds*1.02 && l.Seconds <= high && math.Abs(d.mean()-l.Seconds) < .05*l.Seconds {
			i.add(Warning, fmt.Sprintf("%d of %d connections that ended with 1006 were %s s old, and not silent: a hop between ends them at that age (known for it: %s)",
				n, d.count, number(l.Seconds), l.Known),
				adviceOnAge, d.name)
			return true
		}
	}
	return false
}
