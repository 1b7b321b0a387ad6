package checklist

import (
	"fmt"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// checkKinds checks the label kind of the messages: most messages should have a
// declared kind.
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
		i.add(Warning, name+" has no label kind", "Count messages by a few declared kinds, and all others as kind other", name)
	case other > all/2:
		i.add(Warning, fmt.Sprintf("%.0f%% of %s have the kind other", 100*other/all, name),
			"Declare the kinds of your messages, or read more bytes of each message. A message counts as other if its kind is not declared, or was not found in these bytes", name)
	}
}
