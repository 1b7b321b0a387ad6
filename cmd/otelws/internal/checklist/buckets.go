package checklist

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// minObservations is the number of observations that a judgement needs.
const minObservations = 10

// distribution is the sum of the series of a histogram. Counts are cumulative.
type distribution struct {
	name   string
	bounds []float64 // without +Inf
	counts []uint64
	count  uint64
	sum    float64
	broken string // describes an impossible value, or is empty
}

func (d *distribution) mean() float64 { return d.sum / float64(d.count) }

// distributions returns the histograms whose name mentions WebSockets.
func distributions(s *subject) (all []distribution) {
	for _, name := range s.now.Names() {
		f := s.now.Families[name]
		if f.GetType() == dto.MetricType_HISTOGRAM && isWebSocket(name) {
			all = append(all, newDistribution(name, f))
		}
	}
	return all
}

func newDistribution(name string, f *dto.MetricFamily) distribution {
	d := distribution{name: name}
	byBound := map[float64]uint64{}
	for _, m := range f.GetMetric() {
		h := m.GetHistogram()
		d.count += h.GetSampleCount()
		d.sum += h.GetSampleSum()
		last := uint64(0)
		for _, b := range h.GetBucket() {
			n := b.GetCumulativeCount()
			if n < last || n > h.GetSampleCount() {
				d.broken = fmt.Sprintf("%s counts %d at le=%q: a cumulative count cannot fall, or exceed the total",
					series(name, m), n, number(b.GetUpperBound()))
			}
			last = n
			if !math.IsInf(b.GetUpperBound(), 1) {
				byBound[b.GetUpperBound()] += n
			}
		}
	}
	for bound := range byBound {
		d.bounds = append(d.bounds, bound)
	}
	slices.Sort(d.bounds)
	for _, bound := range d.bounds {
		d.counts = append(d.counts, byBound[bound])
	}
	return d
}

func conventional(name string) []float64 {
	for _, e := range expected {
		if s := stem(name); s == stem(serverRole+e.name) || s == stem(clientRole+e.name) {
			return e.bounds
		}
	}
	return nil
}

func checkBuckets(_ context.Context, s *subject, i *Item) {
	judged, few := 0, []string{}
	for _, d := range distributions(s) {
		switch {
		case d.broken != "":
			i.add(Failed, d.broken, "Each bucket must count all observations up to its bound", d.name)
		case strings.HasSuffix(d.name, idleName): // a silence may have any length
		case d.count < minObservations:
			few = append(few, d.name)
		default:
			judged++
			d.judge(i)
		}
	}
	undecided := ""
	if len(few) > 0 {
		undecided = fmt.Sprintf("fewer than %d observations in %s", minObservations, strings.Join(few, ", "))
	}
	switch {
	case judged > 0 && undecided != "":
		i.ok("the buckets of %s distinguish the observations; %s", several(judged, "histogram"), undecided)
	case judged > 0:
		i.ok("the buckets of %s distinguish the observations", several(judged, "histogram"))
	case undecided != "":
		i.skip(undecided)
	case len(i.Findings) == 0:
		i.skip("no histogram has an observation yet")
	}
}

func (d *distribution) judge(i *Item) {
	if len(d.bounds) == 0 {
		i.add(Failed, d.name+" has only the bucket +Inf", d.advice(), d.name)
		return
	}
	usual := slices.Equal(d.bounds, conventional(d.name))
	first, last := d.bounds[0], d.bounds[len(d.bounds)-1]
	within := d.counts[len(d.counts)-1]
	switch {
	case within == 0:
		i.add(Failed, fmt.Sprintf("all %d observations of %s are above its last bucket, %s: only +Inf counts them (mean %s)",
			d.count, d.name, number(last), number(d.mean())), d.advice(), d.name)
	case 2*within <= d.count:
		i.add(Warning, fmt.Sprintf("%d of %d observations of %s are above its last bucket, %s (mean %s)",
			d.count-within, d.count, d.name, number(last), number(d.mean())), d.advice(), d.name)
	case d.counts[0] < d.count:
	case usual:
		// Short messages or quick pongs are normal, and the usual buckets also cover
		// the longer ones.
	default:
		i.add(Failed, fmt.Sprintf("all %d observations of %s are in its first bucket, up to %s (mean %s)",
			d.count, d.name, number(first), number(d.mean())), d.advice(), d.name)
	}
}

// advice suggests the conventional buckets if they contain the mean. Otherwise it
// suggests buckets around the mean.
func (d *distribution) advice() string {
	mean, usual := d.mean(), conventional(d.name)
	fits := func(v float64) bool { return len(usual) > 0 && v > usual[0] && v <= usual[len(usual)-1] }
	switch {
	case fits(mean) && !slices.Equal(usual, d.bounds):
		return "Use the buckets " + numbers(usual)
	case strings.HasSuffix(d.name, "_seconds") && mean > usualLast(usual) && fits(mean/1000):
		return "If these are milliseconds, record seconds, with the buckets " + numbers(usual)
	}
	return "Use buckets around the observed values, such as " + numbers(suggest(mean, usual))
}

func usualLast(usual []float64) float64 {
	if len(usual) == 0 {
		return math.Inf(1)
	}
	return usual[len(usual)-1]
}

// suggest returns bounds around a mean: powers of four for sizes, and steps of 1, 2.5
// and 5 for other values.
func suggest(mean float64, usual []float64) (bounds []float64) {
	if !(mean > 0) || math.IsInf(mean, 1) {
		return usual
	}
	if slices.Equal(usual, sizeBounds) {
		for e := -3.0; e <= 3; e++ {
			if b := math.Pow(2, math.Round(math.Log2(mean))+2*e); b >= 1 {
				bounds = append(bounds, b)
			}
		}
		return bounds
	}
	decade := math.Floor(math.Log10(mean))
	for e := -1.0; e <= 2; e++ {
		for _, step := range []float64{1, 2.5, 5} {
			b, _ := strconv.ParseFloat(fmt.Sprintf("%ge%d", step, int(decade+e)), 64)
			bounds = append(bounds, b)
		}
	}
	return bounds[:10]
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func numbers(all []float64) string {
	var parts []string
	for _, v := range all {
		parts = append(parts, strconv.FormatFloat(v, 'f', -1, 64))
	}
	return strings.Join(parts, " ")
}
