package checklist

import (
	"fmt"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// checkKinds looks at the kinds of messages: most of them should be declared.
func checkKinds(i *Item, name string, f *dto.MetricFamily) {
	var all, other float64
	kinds := false
	for _, m := range f.GetMetric() {
		kind := scrape.Label(m, "kind")
		kinds = kinds || kind != ""
		all += scrape.Value(m)
		if kind == "other" {
			other += scrape.Value(m)
		}
	}
	switch {
	case !kinds:
		i.add(Warning, name+" has no label kind", "Count messages by a few declared kinds, and the others as other", name)
	case other > all/2:
		i.add(Warning, fmt.Sprintf("%.0f%% of %s are of the kind other", 100*other/all, name),
			"Declare the kinds that your messages have, or read more of their beginnings: other is what is not declared or was not found there", name)
	}
}
