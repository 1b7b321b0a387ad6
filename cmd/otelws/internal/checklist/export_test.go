package checklist

// Expectation is an expected metric, for tests.
type Expectation struct {
	Name, Type string
	Bounds     []float64
}

// Expected returns the expectations for both sides.
func Expected() (all []Expectation) {
	for _, role := range []string{serverRole, clientRole} {
		for _, e := range expected {
			all = append(all, Expectation{role + e.name, typeName(e.typ), e.bounds})
		}
	}
	return all
}
