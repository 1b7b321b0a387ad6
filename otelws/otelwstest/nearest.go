package otelwstest

import (
	"cmp"
	"strings"
)

// instead returns the samples that exist instead of the sample name, and a similar name if there is
// one.
func (m *Metrics) instead(name string) string {
	all := m.samples()
	if len(all) == 0 {
		return ", nor any other: pass MeterProvider to otelws.New, by WithMeterProvider"
	}
	var hint string
	if near := nearest(name, all); near != "" {
		hint = ": did you mean " + near + "?"
	}
	return hint + "; there are:\n" + cmp.Or(m.Changed(), m.Text())
}

// nearest returns the most similar name of a sample: first by the metric, then by the labels. The
// metrics may differ in a third of the letters.
func nearest(name string, samples []sample) (near string) {
	metric, labels, _ := strings.Cut(name, "{")
	most, least := len(metric)/3, -1
	for _, s := range samples {
		m, l, _ := strings.Cut(s.name, "{")
		d := distance(metric, m)
		if strings.HasPrefix(m, metric+"_") {
			d = min(d, 1) // such as _total or _count
		}
		if d > most {
			continue
		}
		// One letter of the metric weighs more than all labels.
		if d = d<<16 + distance(labels, l); least < 0 || d < least {
			near, least = s.name, d
		}
	}
	return near
}

// distance returns the number of letters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
