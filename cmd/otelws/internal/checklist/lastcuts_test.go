package checklist_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/cmd/otelws/internal/checklist"
)

// end is a closed connection in the JSON of /debug/ws.
type end struct {
	Role      string  `json:"role"`
	Code      int     `json:"code"`
	Initiator string  `json:"initiator"`
	Idle      float64 `json:"idle_seconds"`
	Age       float64 `json:"age_seconds"`
}

func times(n int, e end) (all []end) {
	for range n {
		e.Idle *= 1.001
		all = append(all, e)
	}
	return all
}

// The last closed connections at /debug/ws show more than the buckets.
func TestLastCuts(t *testing.T) {
	cut := func(idle, age float64) end { return end{"server", 1006, "peer", idle, age} }
	var spread []end
	for i := range 20 {
		spread = append(spread, cut(1.3*float64(i), 7*float64(i)))
	}
	for _, tt := range []struct {
		name   string
		closed []end
		status checklist.Status
		want   string
	}{
		{"3 s", times(12, cut(3, 9)), checklist.Warning, "100 % of the last 12 connections that ended with 1006 had been silent for 3 s: a hop in between probably has this limit"},
		{"60 s, of some", append(times(12, cut(60, 300)), spread[:8]...), checklist.Warning, "60 % of the last 20 connections that ended with 1006 had been silent for 60.4 s: a hop in between probably has this limit (like nginx"},
		{"age", append(times(12, cut(.1, 30)), spread[:3]...), checklist.Warning, "12 of the last 15 connections that ended with 1006 were 30 s old, and not silent"},
		{"nothing in common", spread, checklist.OK, "no silence and no age in common"},
		{"clients that leave at once", times(12, cut(.2, .5)), checklist.OK, "no silence and no age in common"},
		{"too few", times(9, cut(3, 9)), checklist.OK, "no silence and no age in common"},
		{"another code", times(12, end{"server", 1001, "peer", 3, 9}), checklist.OK, "no silence and no age in common"},
		{"another end", times(12, end{"server", 1006, "timeout", 3, 9}), checklist.OK, "no silence and no age in common"},
		{"dialed", times(12, end{"client", 1006, "peer", 3, 9}), checklist.OK, "no silence and no age in common"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bounds := []float64{5, 28, 54, 97, 345}
			metrics := sound(t) + "# HELP ws_connection_idle_seconds x\n# TYPE ws_connection_idle_seconds histogram\n" +
				histogramText("ws_connection_idle_seconds", "1006", "peer", bounds, []float64{1, 7, 30, 70, 200})
			mux := http.NewServeMux()
			mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, metrics) })
			mux.HandleFunc("GET /debug/ws", func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]any{"total": 0, "closed": tt.closed})
			})
			s := httptest.NewServer(mux)
			defer s.Close()
			for _, i := range run(t, options(t, s.URL+"/metrics")).Items {
				if i.Name != "silence" {
					continue
				}
				said := i.Summary
				for _, f := range i.Findings {
					said += f.Why + ". " + f.Advice
				}
				if i.Status != tt.status || !strings.Contains(said, tt.want) {
					t.Errorf("%v %q, want %v %q", i.Status, said, tt.status, tt.want)
				}
			}
		})
	}
}
