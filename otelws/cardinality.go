package otelws

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/metric"
)

// cardinalityLimit is the SDK's limit of attribute sets for each instrument. 0 means no limit.
type cardinalityLimit int

// The SDK's default, and the environment variable that changes it.
const (
	defaultCardinalityLimit  cardinalityLimit = 2000
	cardinalityLimitVariable                  = "OTEL_GO_X_CARDINALITY_LIMIT"
)

// cardinalityLimitOf returns the limit of the provider if it is known, or else the limit of the
// environment.
func cardinalityLimitOf(mp metric.MeterProvider) cardinalityLimit {
	if p, ok := mp.(interface{ CardinalityLimit() (limit int, ok bool) }); ok {
		if n, ok := p.CardinalityLimit(); ok {
			return cardinalityLimit(n)
		}
	}
	if n, err := strconv.Atoi(strings.TrimSpace(os.Getenv(cardinalityLimitVariable))); err == nil {
		return cardinalityLimit(max(n, 0))
	}
	return defaultCardinalityLimit
}

// maxSets limits the attribute sets of one instrument if the SDK has no limit. Each set takes
// memory from the start.
const maxSets = 100_000

// check returns an error if an instrument has more attribute sets than the SDK keeps. The SDK uses
// one set of its limit for the overflow.
func (l cardinalityLimit) check(sets int64, of string) error {
	if sets > maxSets {
		return fmt.Errorf("an instrument has more than %d attribute sets: declare fewer values (%s)", maxSets, of)
	}
	if l <= 0 || sets <= int64(l)-1 {
		return nil
	}
	return fmt.Errorf("an instrument has %d attribute sets, but the SDK keeps at most %d: declare fewer values, or raise the SDK's cardinality limit (%s)",
		sets, l-1, of)
}
