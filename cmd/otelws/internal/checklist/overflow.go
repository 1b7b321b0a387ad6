package checklist

import "fmt"

// overflowed adds a finding for the label of the SDK's overflow series, and reports
// whether label is that label. An overflow series has lost its other labels,
// including code.
func overflowed(i *Item, label string, u *labelUse) bool {
	if label != "otel_metric_overflow" {
		return false
	}
	i.add(Failed, fmt.Sprintf("%s overflowed: there are more attribute sets than the SDK's limit, and the SDK put the rest into one series without labels", enumerate(u.metrics)),
		"Record fewer values of the attributes, or raise the cardinality limit (OTEL_GO_X_CARDINALITY_LIMIT, or the option of the MeterProvider)", u.metrics...)
	return true
}
