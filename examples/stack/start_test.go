//go:build unix

package main_test

import (
	"bytes"
	"strings"
	"testing"
)

// go run . starts all parts and scrapes them, with and without traces, and prints
// what it did.
func TestStart(t *testing.T) {
	for name, test := range map[string]struct {
		traces  bool
		targets float64
		last    string
	}{
		"without traces": {false, 3, "3/3  prometheus"},
		"with traces":    {true, 4, "5/5  prometheus"}, // everything is built already
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, fast)
			var progress bytes.Buffer
			s.Progress = &progress
			check(t, s.Start(t.Context(), test.traces))
			if !strings.Contains(progress.String(), test.last) {
				t.Errorf("it said\n%s", &progress)
			}
			prom := ask(t, s.At.Prometheus)
			prom.await(`sum(up)`, equals(test.targets))
			prom.await(`count(up)`, equals(test.targets))
			prom.await(`sum(ws_connections_opened_total)`, above(20))
		})
	}
}
