//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		Type    string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	check(t, json.Unmarshal(must(os.ReadFile("config/grafana/dashboards/websockets.json"))(t), &d))
	return d
}

// Every query of the dashboard has an answer from a stack under load, as
// Prometheus parses it, and so has every recording rule.
func TestDashboardAndRulesHaveData(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	for i := range s.At.Demos {
		must(s.Demo(t.Context(), i, "--clients", "20", "--heartbeat", "1s"))(t)
	}
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	variables := strings.NewReplacer("$job", "websocket", "$instance", ".+", "$__rate_interval", "20s")
	var queries []string
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			queries = append(queries, variables.Replace(target.Expr))
		}
	}
	if len(queries) < 40 {
		t.Errorf("%d queries", len(queries))
	}
	rules := must(prom.Rules(t.Context(), nil))(t)
	recorded := 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if name := ruleName(rule); strings.Contains(name, ":") {
				queries, recorded = append(queries, name), recorded+1
			}
		}
	}
	if recorded != 7 {
		t.Errorf("%d recording rules", recorded)
	}
	for _, query := range queries {
		eventually(t, query, func() error {
			for _, sample := range prom.query(query) {
				if sample.Value == sample.Value { // no NaN
					return nil
				}
			}
			return fmt.Errorf("no data")
		})
	}
	for _, group := range must(prom.Rules(t.Context(), nil))(t).Groups {
		for _, rule := range group.Rules {
			if err := ruleError(rule); err != "" {
				t.Errorf("%s: %s", ruleName(rule), err)
			}
		}
	}
}

func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	d := readDashboard(t)
	for i, a := range d.Panels {
		if a.GridPos.X+a.GridPos.W > 24 {
			t.Errorf("%q is wider than the page", a.Title)
		}
		for _, b := range d.Panels[:i] {
			p, q := a.GridPos, b.GridPos
			if a.ID == b.ID || p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H {
				t.Errorf("%q and %q are at one place, or have one id", a.Title, b.Title)
			}
		}
	}
}

func ruleName(rule any) string {
	switch r := rule.(type) {
	case promv1.RecordingRule:
		return r.Name
	case promv1.AlertingRule:
		return r.Name
	}
	return ""
}

func ruleError(rule any) string {
	switch r := rule.(type) {
	case promv1.RecordingRule:
		return r.LastError
	case promv1.AlertingRule:
		return r.LastError
	}
	return ""
}
