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

// The shares of connections that must agree for a finding: ageShare for a common age,
// and silenceShare for a common silence.
const (
	silenceShare = 0.5
	ageShare     = 0.8
)

// checkSilence looks for a silence or an age that connections ending with 1006 have
// in common. It means that a hop between the peers ends them. The last closed
// connections at /debug/ws have exact times, so they decide before the histograms.
func checkSilence(ctx context.Context, s *subject, i *Item) {
	judged, undecided := 0, ""
	last := s.lastCuts(ctx)
	for _, role := range s.roles {
		idle, life := cuts(s.now, role+idleName, "peer"), cuts(s.now, role+durationName, "peer")
		dropped := s.judgeMissed(i, role)
		if idle.count < minObservations && !dropped {
			continue
		}
		judged++
		if dropped || judgeLast(i, last[role], role) {
			continue
		}
		if idle.judgeSilence(i) || life.judgeLife(i) || len(last[role]) >= minObservations {
			continue // the exact times of the last connections showed no limit
		}
		undecided = cmp.Or(undecided, idle.undecided(silenceShare, "had been silent for"), life.undecided(ageShare, "had an age of"))
	}
	if judged == 0 {
		i.skip("too few connections have ended with 1006 to find a limit")
		return
	}
	if undecided != "" {
		i.skip(undecided)
		return
	}
	i.ok("the connections that ended with 1006 have no silence and no age in common")
}

const durationName = "connection_duration_seconds"

// cuts returns the distribution of a metric over the connections that an initiator
// ended with 1006. The caller does not use the initiator timeout for silences: they
// depend on the pong timeout, not on a hop.
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

// judgeMissed adds a finding and returns true if most pings have no answer. Then
// connections are dead before the first ping, because clients that vanish later have
// answered pings before.
func (s *subject) judgeMissed(i *Item, role string) bool {
	lost := cuts(s.now, role+durationName, "timeout")
	missed, pongs := 0.0, 0.0
	for _, m := range s.now.Families[role+"heartbeat_missed_total"].GetMetric() {
		missed += total(m)
	}
	for _, m := range s.now.Families[role+"heartbeat_rtt_seconds"].GetMetric() {
		pongs += float64(m.GetHistogram().GetSampleCount())
	}
	if lost.count < minObservations || missed < silenceShare*(missed+pongs) {
		return false
	}
	i.add(Warning, fmt.Sprintf("%s of %s pings had no answer, and %d connections ended for this reason: a hop in between may silently drop connections after a silence that is shorter than the ping interval",
		number(missed), number(missed+pongs), lost.count),
		"Ping more often. To find the limit, run otelws probe from the clients' network", role+"heartbeat_missed_total")
	return true
}

// bucket is a part of a histogram: n observations above low, up to high.
type bucket struct {
	low, high float64
	n         uint64
	pair      bool // two neighbouring buckets as one
}

// buckets returns the buckets of the histogram. The last one has no upper bound.
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

// pairs returns each two neighbouring buckets as one. The times at which a hop ends
// connections vary a little, and may lie around a bound.
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

// fullest returns the bucket with the most observations. It returns a pair of buckets
// if no single bucket has the share, and the pair has it and is narrow enough to mean
// one time.
func (d *distribution) fullest(share float64) bucket {
	single, pair := fullest(d.buckets()), fullest(d.pairs())
	enough := share * float64(d.count)
	if float64(single.n) < enough && float64(pair.n) >= enough && pair.high-pair.low <= pair.low/2 {
		return pair
	}
	return single
}

// shortest is the shortest limit of a hop, in seconds. Peers may leave at any time
// before.
const shortest = 1

// undecided returns a text if the buckets are too wide to decide whether a share of
// the connections has a time in common. It returns "" if no bucket can hide such a
// time: if each has too few observations, or if the sum of all times is too small.
func (d *distribution) undecided(share float64, had string) string {
	if d.count < minObservations {
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
	return fmt.Sprintf("%d of %d connections that ended with 1006 %s %s: the buckets are too wide to tell whether a hop has a limit there. To find the limit, run otelws probe, or run this check against a server that serves /debug/ws beside its metrics",
		b.n, d.count, had, between)
}

// judgeSilence adds a finding and returns true if the connections have a silence in
// common.
func (d *distribution) judgeSilence(i *Item) bool {
	b := d.fullest(silenceShare)
	low, high, n := b.low, b.high, b.n
	if float64(n) < silenceShare*float64(d.count) || low == 0 {
		return false // a silence near 0 is not a limit: peers may leave at any time
	}
	share := fmt.Sprintf("%.0f %% of %d connections that ended with 1006 had been silent for", 100*float64(n)/float64(d.count), d.count)
	for _, l := range hops.Idle {
		if !b.pair && low < l.Seconds && l.Seconds < high && high-low < l.Seconds/2 {
			i.add(Warning, fmt.Sprintf("%s %s s: a hop in between probably has this limit (like %s)", share, number(l.Seconds), l.Known),
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
	i.add(Warning, fmt.Sprintf("%s between %s and %s s (mean of all: %s s): a hop in between may have this limit", share, number(low), number(high), number(d.mean())),
		fmt.Sprintf("Look for a limit of about %s s in the proxies in between. Until then ping every %s s", number(math.Round(at)), number(hops.Heartbeat(at))), d.name)
	return true
}

// judgeLife adds a finding and returns true if the connections have an age in common.
func (d *distribution) judgeLife(i *Item) bool {
	if d.count < minObservations {
		return false
	}
	b := fullest(d.buckets())
	low, high, n := b.low, b.high, b.n
	for _, l := range hops.Life {
		if float64(n) >= ageShare*float64(d.count) && low < l.Seconds*1.02 && l.Seconds <= high && math.Abs(d.mean()-l.Seconds) < .05*l.Seconds {
			i.add(Warning, fmt.Sprintf("%d of %d connections that ended with 1006 were %s s old, and not silent: a hop in between probably has this limit (like %s)",
				n, d.count, number(l.Seconds), l.Known),
				adviceOnAge, d.name)
			return true
		}
	}
	return false
}
