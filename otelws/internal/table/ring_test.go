package table_test

import (
	"slices"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/table"
)

func TestRing(t *testing.T) {
	var r table.Ring[int]
	if all := r.Newest(); len(all) != 0 {
		t.Errorf("an empty ring has %v", all)
	}
	want := []int{}
	for i := range 1000 {
		r.Add(i)
		want = append([]int{i}, want[:min(len(want), 255)]...)
		if i%97 == 0 || i == 255 || i == 256 {
			if got := r.Newest(); !slices.Equal(got, want) {
				t.Fatalf("after %d: %v, want %v", i, got, want)
			}
		}
	}
}
