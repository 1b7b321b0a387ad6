package stats_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelws/otelws-go/examples/benchmark/internal/stats"
)

func TestSummarize(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    []float64
		want stats.Summary
	}{
		{"nothing", nil, stats.Summary{}},
		{"one", []float64{7}, stats.Summary{N: 1, Min: 7, Q1: 7, Median: 7, Q3: 7, Max: 7}},
		{"two", []float64{3, 1}, stats.Summary{N: 2, Min: 1, Q1: 1.5, Median: 2, Q3: 2.5, Max: 3}},
		{"odd", []float64{5, 1, 4, 2, 3}, stats.Summary{N: 5, Min: 1, Q1: 2, Median: 3, Q3: 4, Max: 5}},
		{"even", []float64{8, 2, 4, 6}, stats.Summary{N: 4, Min: 2, Q1: 3.5, Median: 5, Q3: 6.5, Max: 8}},
		{"an outlier", []float64{1, 1, 1, 1, 100}, stats.Summary{N: 5, Min: 1, Q1: 1, Median: 1, Q3: 1, Max: 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := slices.Clone(tt.v)
			if diff := cmp.Diff(tt.want, stats.Summarize(tt.v)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !slices.Equal(tt.v, given) {
				t.Error("the measurements were put in another order")
			}
		})
	}
}

func TestRatios(t *testing.T) {
	for _, tt := range []struct {
		name         string
		of, to, want []float64
	}{
		{"by round", []float64{2, 6, 3}, []float64{1, 3, 2}, []float64{2, 2, 1.5}},
		{"a round is missing", []float64{2, 6}, []float64{1, 3, 2}, []float64{2, 2}},
		{"nothing to divide by", []float64{2, 6}, []float64{0, 3}, []float64{2}},
		{"nothing", nil, []float64{1}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := stats.Ratios(tt.of, tt.to); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	const n = 7
	var before []int
	for round := range 10 {
		order := stats.Order(round, before, n, rand.Perm)
		if got := slices.Sorted(slices.Values(order)); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6}) {
			t.Fatalf("round %d measures %v", round, order)
		}
		if round%2 == 1 {
			slices.Reverse(before)
			if !slices.Equal(order, before) {
				t.Errorf("round %d measures %v, and does not mirror the one before", round, order)
			}
		}
		before = order
	}
}
