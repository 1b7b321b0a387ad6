package checklist

import "fmt"

// overflowed says whether label is the one of series in which the OpenTelemetry SDK has put what it does not keep
// apart, and judges it: the other labels of these series are lost, code among them.
func overflowed(i *Item, label string, u *usage) bool {
	if label != "otel_metric_overflow" {
		return false
	}
	i.add(Failed, fmt.Sprintf("%s overflowed: there are more attribute sets than the SDK keeps apart, and what is beyond is in one series without its labels", enumerate(u.metrics)),
		"Record fewer values of their attributes, or raise the cardinality limit (OTEL_GO_X_CARDINALITY_LIMIT, or the MeterProvider's option)", u.metrics...)
	return true
}
