//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

type panel struct {
	Title   string
	Panels  []panel // the panels of a collapsed row
	Targets []struct{ Expr string }
}

// dashboardQueries returns all queries of the dashboard, with its variables set.
func dashboardQueries(t *testing.T) []string {
	t.Helper()
	var dashboard struct{ Panels []panel }
	check(t, json.Unmarshal(must(os.ReadFile("config/grafana/dashboards/websockets.json"))(t), &dashboard))
	variables := strings.NewReplacer("$job", "websocket", "$instance", ".+", "$cluster", ".*", "$namespace", ".*", "$route", ".*",
		"$__rate_interval", "20s", "$__range", "20s")
	all := queries(dashboard.Panels)
	if len(all) < 70 {
		t.Errorf("%d queries", len(all))
	}
	for i, query := range all {
		all[i] = variables.Replace(query)
	}
	return all
}

func queries(panels []panel) (all []string) {
	for _, p := range panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
		all = append(all, queries(p.Panels)...)
	}
	return all
}

// elsewhere are the recording rules without data in the demo: for dialed connections,
// and for instances that push or are down.
var elsewhere = regexp.MustCompile(`ws_client_|pushed|vanished|down|_cut`)

// Every query of the dashboard and every recording rule returns data from a stack
// under load.
func TestDashboardAndRulesHaveData(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	for i := range s.At.Demos {
		must(s.Demo(t.Context(), i, "--clients", "20", "--heartbeat", "1s"))(t)
	}
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)

	asked := dashboardQueries(t)
	recorded := 0
	for _, group := range must(prom.Rules(t.Context(), nil))(t).Groups {
		for _, rule := range group.Rules {
			if name := ruleName(rule); strings.Contains(name, ":") && !elsewhere.MatchString(name) {
				asked, recorded = append(asked, name), recorded+1
			}
		}
	}
	if recorded < 30 {
		t.Errorf("%d recording rules", recorded)
	}
	for _, query := range asked {
		eventually(t, query, func() error {
			for _, sample := range prom.query(query) {
				if sample.Value == sample.Value { // not NaN
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

// A server without connections shows zeros: each query returns data, and no NaN.
func TestDashboardOfAQuietServer(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	must(s.Demo(t.Context(), 0))(t)
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	prom.await(`count(ws_connections_active)`, above(0))
	prom.await(`sum(rate(ws_connections_opened_total[20s]))`, equals(0))

	for _, query := range dashboardQueries(t) {
		eventually(t, query, func() error {
			samples := prom.query(query)
			for _, sample := range samples {
				if sample.Value != sample.Value {
					t.Errorf("%s is NaN", query)
				}
			}
			if len(samples) == 0 {
				return fmt.Errorf("no data")
			}
			return nil
		})
	}
}

// When all servers are down, the dashboard does not show their last values as if they
// were still there.
func TestDashboardOfServersThatAreDown(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	demo := must(s.Demo(t.Context(), 0, "--clients", "5"))(t)
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	glance := dashboardQueries(t)[:2]
	for _, query := range glance {
		prom.await(query, above(0))
	}
	check(t, demo.Stop())
	for _, query := range glance {
		prom.await(query, equals(0))
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
