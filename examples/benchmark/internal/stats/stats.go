// Package stats sums up repeated measurements.
package stats

import (
	"math"
	"slices"
)

// Summary is what repeated measurements of one thing came to.
type Summary struct {
	N      int     `json:"n"`
	Min    float64 `json:"min"`
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
	Max    float64 `json:"max"`
}

// Summarize returns the median of v and its spread. Quantiles between two
// measurements are interpolated linearly. Without measurements it is zero.
func Summarize(v []float64) Summary {
	if len(v) == 0 {
		return Summary{}
	}
	v = slices.Sorted(slices.Values(v))
	return Summary{
		N:      len(v),
		Min:    v[0],
		Q1:     quantile(v, .25),
		Median: quantile(v, .5),
		Q3:     quantile(v, .75),
		Max:    v[len(v)-1],
	}
}

func quantile(sorted []float64, q float64) float64 {
	whole, part := math.Modf(q * float64(len(sorted)-1))
	i := int(whole)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + part*(sorted[i+1]-sorted[i])
}

// Ratios divides what was measured in the same round. Rounds are by their place
// in both; those that either lacks, or whose divisor is 0, are left out.
func Ratios(of, to []float64) []float64 {
	var r []float64
	for i := range min(len(of), len(to)) {
		if to[i] != 0 {
			r = append(r, of[i]/to[i])
		}
	}
	return r
}

// Order returns the order in which n contenders are measured in a round:
// shuffled, and in each second round that of the round before it backwards, so
// that what drifts evenly weighs on all alike. perm is rand.Perm, or its like.
func Order(round int, before []int, n int, perm func(int) []int) []int {
	if round%2 == 0 || len(before) != n {
		return perm(n)
	}
	order := slices.Clone(before)
	slices.Reverse(order)
	return order
}
