package checklist

import (
	"context"
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// limit is a time after which something between two peers cuts a connection, and
// what is known for it as it comes.
type limit struct {
	seconds float64
	hops    string
}

// idleLimits are limits on silence.
var idleLimits = []limit{
	{30, "HAProxy and many proxies as they are often set up"},
	{55, "the router of Heroku"},
	{60, "nginx's proxy_read_timeout, the AWS Application Load Balancer"},
	{100, "Cloudflare"},
	{240, "the Azure Load Balancer, which tells nobody"},
	{350, "the AWS Network Load Balancer"},
	{600, "the AWS API Gateway, the Google Cloud TCP load balancers"},
}

// lifeLimits are limits on the life of a connection, which no ping extends.
var lifeLimits = []limit{
	{30, "the backend timeout of the Google Cloud Application Load Balancer"},
	{3600, "Google Cloud Run as it can be set"},
	{7200, "the AWS API Gateway"},
}

// most is the part of the connections that makes a verdict.
const most = 0.5

// checkSilence says where 1006 comes from, if it comes after the same silence or at
// the same age: then something between the peers cuts.
func checkSilence(_ context.Context, s *subject, i *Item) {
	judged := 0
	for _, role := range s.roles {
		idle := abnormal(s.now, role+idleName)
		if idle.count < enough {
			continue
		}
		judged++
		life := abnormal(s.now, role+"connection_duration_seconds")
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

// abnormal is the distribution of a metric over the connections that ended with
// 1006 and were not cut by this side.
func abnormal(s *scrape.Scrape, name string) distribution {
	f := s.Families[name]
	some := &dto.MetricFamily{}
	for _, m := range f.GetMetric() {
		if m.GetHistogram() != nil && scrape.Label(m, "code") == "1006" && scrape.Label(m, "initiator") != "local" {
			some.Metric = append(some.Metric, m)
		}
	}
	return newDistribution(name, some)
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
	for _, l := range idleLimits {
		if low < l.seconds && l.seconds < high && high-low < l.seconds/2 {
			i.add(Warning, fmt.Sprintf("%s %s s: a hop between cuts there (known for it: %s)", share, number(l.seconds), l.hops),
				fmt.Sprintf("Ping every %s s, or raise the limit of that hop", number(math.Floor(l.seconds*3/4))), d.name)
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
		fmt.Sprintf("Look for a limit of about %s s in the proxies between, and ping every %s s meanwhile", number(math.Round(at)), number(math.Floor(at*3/4))), d.name)
	return true
}

func (d *distribution) judgeLife(i *Item) {
	if d.count < enough {
		return
	}
	low, high, n := d.fullest()
	for _, l := range lifeLimits {
		if float64(n) >= .8*float64(d.count) && low < l.seconds*1.02 && l.seconds <= high && math.Abs(d.mean()-l.seconds) < .05*l.seconds {
			i.add(Warning, fmt.Sprintf("%d of %d connections that ended with 1006 were %s s old, and not silent: a hop between ends them at that age (known for it: %s)",
				n, d.count, number(l.seconds), l.hops),
				"No ping helps: raise the limit of that hop, or close with 1001 before and have clients come back", d.name)
			return
		}
	}
}
