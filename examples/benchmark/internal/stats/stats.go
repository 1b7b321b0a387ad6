// Package stats summarises repeated measurements.
package stats

import (
	"math"
	"slices"
)

// Summary is the summary of repeated measurements of one value.
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

// Ratios divides measurements of the same round. Rounds have the same index in both slices. It
// skips rounds that are missing in one of them, or whose divisor is 0.
func Ratios(of, to []float64) []float64 {
	var r []float64
	for i := range min(len(of), len(to)) {
		if to[i] != 0 {
			r = append(r, of[i]/to[i])
		}
	}
	return r
}

// Order returns the order in which n contenders are measured in a round. Odd rounds are shuffled,
// and even rounds have the reverse order of the round before, so that a steady drift affects all
// contenders equally. perm is rand.Perm or a similar function.
func Order(round int, before []int, n int, perm func(int) []int) []int {
	if round%2 == 0 || len(before) != n {
		return perm(n)
	}
	order := slices.Clone(before)
	slices.Reverse(order)
	return order
}
