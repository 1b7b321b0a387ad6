package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func render(t *testing.T, fields string) map[string][]byte {
	t.Helper()
	files, err := Render(fields)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What is committed for those who only import is what the mixin renders.
func TestRenderedFilesAreCurrent(t *testing.T) {
	for name, want := range render(t, "") {
		got, err := os.ReadFile(filepath.Join(rendered, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the mixin renders: go run .", name)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		config    string
		want, not string
	}{
		"a selector, on every metric":   {`selector: 'environment="production"'`, `up{environment="production"}`, `(rate|sum|changes)\b.*\((ws|otlp|process)_\w+(\[|\))`},
		"another label":                 {`serviceLabels: ['region', 'job']`, `sum by \(region, job\)`, `cluster, namespace`},
		"no native histograms":          {`nativeHistograms: false`, `ws_message_bytes_count`, `histogram_(count|fraction)`},
		"no names of jobs":              {`jobNames: ''`, `instance:ws_server:seen`, `web\.\?sockets`},
		"jobs that must be there":       {`requiredJobs: ['prod/chat']`, `absent\(ws_connections_active{job="prod/chat"}\)`, `prod/room`},
		"a job that the selector names": {`selector: 'job="chat"', requiredJobs: ['chat']`, `"job", "chat", "", ""`, `prod/room`},
		"thresholds without a plus":     {`thresholds: { descriptors: 0.9 }`, `process_max_fds > 0.9\n`, `process_max_fds > 0.8`},
		"thresholds by super":           {`thresholds: super.thresholds + { descriptors: 0.9 }`, `process_max_fds > 0.9\n`, `process_max_fds > 0.8`},
		"more names of jobs":            {`jobNames: super.jobNames + '|prod/chat'`, `up{job=~"\(\?i\).*sockets.*\|prod/chat"}`, `prod/room`},
		"idle limits of one's own":      {`idleLimits: { '42': [40, 44] }`, `42`, `le=~"345`},
		"a threshold, others untouched": {`thresholds+: { descriptors: 0.9 }`, `process_max_fds > 0.9\n`, `process_max_fds > 0.8`},
		"runbooks elsewhere":            {`runbookURL: 'https://wiki.example.com/ws'`, `runbook_url: https://wiki.example.com/ws#websocketchurn`, `github.com/otelws/otelws-go/blob`},
	} {
		t.Run(name, func(t *testing.T) {
			files := render(t, tt.config)
			rules := files["rules.yml"]
			if !regexp.MustCompile(tt.want).Match(rules) {
				t.Errorf("nothing is %s", tt.want)
			}
			for line := range bytes.Lines(rules) {
				if regexp.MustCompile(tt.not).Match(line) {
					t.Errorf("%s in %s", tt.not, line)
				}
			}
			checkRules(t, rules)
		})
	}
}

// A field that config.libsonnet does not have, or a value of another type, is a mistake. The
// error says what may be meant.
func TestConfigRefusesFields(t *testing.T) {
	for fields, want := range map[string]string{
		`requiredJob: ['chat']`:                         `unknown field requiredJob: did you mean requiredJobs?`,
		`thresholds+: { abnormall: 0.5 }`:               `unknown field thresholds.abnormall: did you mean thresholds.abnormal?`,
		`thresholds: { abnormall: 0.5 }`:                `unknown field thresholds.abnormall: did you mean thresholds.abnormal?`,
		`abnormal: 0.5`:                                 `unknown field abnormal: did you mean thresholds.abnormal?`,
		`colour:: 'red'`:                                `unknown field colour: see config.libsonnet`,
		`selector: '', foo: 1, thresholds+: { bar: 2 }`: `unknown field foo: see config.libsonnet; unknown field thresholds.bar: see config.libsonnet`,
		`thresholds: 0.5`:                               `field thresholds is of type number, not object: see config.libsonnet`,
		`requiredJobs: 'chat'`:                          `field requiredJobs is of type string, not array: see config.libsonnet`,
		`thresholds+: { abnormal: '50 %' }`:             `field thresholds.abnormal is of type string, not number: see config.libsonnet`,
	} {
		_, err := Render(fields)
		if err == nil || err.Error() != "-config: "+want {
			t.Errorf("%s: got %v, want %s", fields, err, want)
		}
	}
}

// The alert of a required job has its label, whatever the selector is.
func TestRequiredJobHasItsLabel(t *testing.T) {
	for _, selector := range []string{``, `job="chat"`, `job=~"chat|room"`, `job!=""`, `environment="production"`} {
		rules := render(t, "requiredJobs: ['chat'], selector: '"+selector+"'")["rules.yml"]
		output, ok := runTests(t, rules, `
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series: [{ series: 'up{job="other"}', values: 1x10 }]
    promql_expr_test:
      - expr: 'group by (alertname, job) (ALERTS{alertstate="firing"})'
        eval_time: 9m
        exp_samples: [{ labels: '{alertname="WebSocketTargetsMissing", job="chat"}', value: 1 }]
`)
		if !ok {
			t.Errorf("selector %s:\n%s", selector, output)
		}
	}
}

// checkRules has promtool parse and lint the rules.
func checkRules(t *testing.T, rules []byte) {
	t.Helper()
	path, err := promtool()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, rules, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "check", "rules", "--lint=all", "--lint-fatal", file).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Each alert says in few words what is wrong, and at length what to do; and the
// runbook has a section for it, and none for another.
func TestAlertsAreDocumented(t *testing.T) {
	m, err := evaluate(withConfig(""))
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]bool)
	for _, s := range regexp.MustCompile(`(?m)^## (WebSocket\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		sections[s[1]] = true
	}
	action := regexp.MustCompile(`{{.*?}}`) // of a template
	documented := make(map[string]bool)
	for _, g := range m.Alerts.Groups {
		for _, r := range g.Rules {
			documented[r.Alert] = true
			a := r.Annotations
			if text := action.ReplaceAllString(a["summary"], ""); len(text) == 0 || len(text) > 150 || strings.Contains(text, "\n") {
				t.Errorf("%s: summary %q", r.Alert, a["summary"])
			}
			if len(a["description"]) < 100 {
				t.Errorf("%s: description %q", r.Alert, a["description"])
			}
			if !strings.HasSuffix(a["runbook_url"], "/runbook.md#"+strings.ToLower(r.Alert)) {
				t.Errorf("%s: runbook_url %q", r.Alert, a["runbook_url"])
			}
			if !sections[r.Alert] {
				t.Errorf("runbook.md has no section %s", r.Alert)
			}
			if !bytes.Contains(readme, []byte("| `"+r.Alert+"` | "+r.Labels["severity"])) {
				t.Errorf("README.md has no line of %s, %s", r.Alert, r.Labels["severity"])
			}
		}
	}
	for s := range sections {
		if !documented[s] {
			t.Errorf("runbook.md has a section of %s, which is no alert", s)
		}
	}
}

// Alerts go by recording rules: a metric has one place where it is read. What is
// read once stays where it is.
func TestAlertsUseTheRecordingRules(t *testing.T) {
	m, err := evaluate(withConfig(""))
	if err != nil {
		t.Fatal(err)
	}
	var alerts strings.Builder
	for _, g := range m.Alerts.Groups {
		for _, r := range g.Rules {
			alerts.WriteString(r.Expr + "\n")
		}
	}
	if raw := regexp.MustCompile(`(?:^|[^:\w])ws_\w+`).FindAllString(alerts.String(), -1); raw != nil {
		t.Errorf("alerts read %q", raw)
	}
	recorded := make(map[string]bool)
	for _, g := range m.Rules.Groups {
		for _, r := range g.Rules {
			recorded[r.Record] = true
		}
	}
	for _, name := range regexp.MustCompile(`\b(?:job|instance):\w+:\w+`).FindAllString(alerts.String(), -1) {
		if !recorded[name] {
			t.Errorf("no rule records %s", name)
		}
	}
}

type panel struct {
	ID      int
	Title   string
	Type    string
	GridPos struct{ X, Y, W, H int }
	Panels  []panel
	Targets []struct{ Expr string }
	Options struct {
		Legend struct{ Calcs []string }
	}
}

func TestPanelsHaveRoom(t *testing.T) {
	var d struct{ Panels []panel }
	if err := json.Unmarshal(render(t, "")["grafana/dashboards/websockets.json"], &d); err != nil {
		t.Fatal(err)
	}
	ids := make(map[int]string)
	var check func(panels []panel)
	check = func(panels []panel) {
		for i, a := range panels {
			if other, ok := ids[a.ID]; ok {
				t.Errorf("%q and %q have one id", a.Title, other)
			}
			ids[a.ID] = a.Title
			if a.GridPos.X+a.GridPos.W > 24 {
				t.Errorf("%q is wider than the page", a.Title)
			}
			for _, b := range panels[:i] {
				p, q := a.GridPos, b.GridPos
				if p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H {
					t.Errorf("%q and %q are at one place", a.Title, b.Title)
				}
			}
			check(a.Panels)
		}
	}
	check(d.Panels)
	if len(ids) < 50 {
		t.Errorf("%d panels", len(ids))
	}
}
