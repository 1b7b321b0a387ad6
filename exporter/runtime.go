package exporter

import (
	"fmt"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// runtimeMetrics are metrics that the Go collector leaves out by default, and that matter for many
// connections: how long a runnable goroutine waits for a processor, and the cost of garbage
// collection in pauses, CPU and live heap.
var runtimeMetrics = []string{
	"/sched/latencies:seconds",          // go_sched_latencies_seconds
	"/sched/pauses/total/gc:seconds",    // go_sched_pauses_total_gc_seconds
	"/cpu/classes/gc/total:cpu-seconds", // go_cpu_classes_gc_total_cpu_seconds_total
	"/gc/heap/live:bytes",               // go_gc_heap_live_bytes
}

func registerRuntime(reg prometheus.Registerer) error {
	var rules []collectors.GoRuntimeMetricsRule
	for _, name := range runtimeMetrics {
		exact, err := regexp.Compile("^" + regexp.QuoteMeta(name) + "$")
		if err != nil {
			return fmt.Errorf("failed to select runtime metric %s: %w", name, err)
		}
		rules = append(rules, collectors.GoRuntimeMetricsRule{Matcher: exact})
	}
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(rules...)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("failed to register runtime metrics: %w", err)
		}
	}
	return nil
}
