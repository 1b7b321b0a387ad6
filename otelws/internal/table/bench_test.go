package table_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/table"
)

type element struct{ table.Entry }

// BenchmarkAll iterates over 100,000 elements. It also reports how long an opening
// and a close wait for the lock of a shard in the meantime.
func BenchmarkAll(b *testing.B) {
	var t table.Table[*element]
	for range 100_000 {
		t.Add(new(element))
	}
	done := make(chan struct{})
	var took []time.Duration
	var churn sync.WaitGroup
	churn.Go(func() {
		for len(took) < 1<<20 {
			select {
			case <-done:
				return
			default:
			}
			e := new(element)
			begun := time.Now()
			t.Add(e)
			t.Remove(e)
			took = append(took, time.Since(begun))
		}
	})
	n := 0
	for b.Loop() {
		t.All(func(*element) bool { n++; return true })
	}
	close(done)
	churn.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "churn-p50-ns")
	b.ReportMetric(float64(took[len(took)*9999/10000]), "churn-p99.99-ns")
}
