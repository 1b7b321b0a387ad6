package checklist

import (
	"context"
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hops"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// most is the part of the connections that makes a verdict.
const most = 0.5

// checkSilence says where 1006 comes from, if it comes after the same silence or at
// the same age: then something between the peers cuts. What is known of the last
// connections that ended is exact, and that is asked for first.
func checkSilence(ctx context.Context, s *subject, i *Item) {
	judged := 0
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
		if !idle.judgeSilence(i) {
			life.judgeLife(i)
		}
	}
	if judged == 0 {
		i.skip("too few connections have ended with 1006 to tell after what silence")
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

// fullest returns the bounds of the bucket with the most, and how many those are.
// The last one is without an upper bound.
func (d *distribution) fullest() (low, high float64, n uint64) {
	last, before := 0.0, uint64(0)
	consider := func(bound float64, cumulative uint64) {
		if cumulative > before+n || n == 0 && cumulative > before {
			low, high, n = last, bound, cumulative-before
		}
		last, before = bound, max(cumulative, before)
	}
	for k, bound := range d.bounds {
		consider(bound, d.counts[k])
	}
	consider(math.Inf(1), d.count)
	return low, high, n
}

// judgeSilence says whether it has a verdict.
func (d *distribution) judgeSilence(i *Item) bool {
	low, high, n := d.fullest()
	if float64(n) < most*float64(d.count) || low == 0 {
		return false // a peer that leaves may leave in the middle of anything
	}
	share := fmt.Sprintf("%.0f %% of %d connections that ended with 1006 had been silent for", 100*float64(n)/float64(d.count), d.count)
	for _, l := range hops.Idle {
		if low < l.Seconds && l.Seconds < high && high-low < l.Seconds/2 {
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

func (d *distribution) judgeLife(i *Item) {
	if d.count < enough {
		return
	}
	low, high, n := d.fullest()
	for _, l := range hops.Life {
		if float64(n) >= .8*float64(d.count) && low < l.Seconds*1.02 && l.Seconds <= high && math.Abs(d.mean()-l.Seconds) < .05*l.Seconds {
			i.add(Warning, fmt.Sprintf("%d of %d connections that ended with 1006 were %s s old, and not silent: a hop between ends them at that age (known for it: %s)",
				n, d.count, number(l.Seconds), l.Known),
				adviceOnAge, d.name)
			return
		}
	}
}
