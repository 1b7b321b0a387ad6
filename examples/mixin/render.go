package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/google/go-jsonnet"
	"go.yaml.in/yaml/v3"
)

// rendered is the directory of the committed rules and dashboard.
const rendered = "../stack/config"

const head = `# Made by examples/mixin (go run .): thresholds and labels are in its config.libsonnet.
`

// mixin has the fields of a monitoring mixin.
type mixin struct {
	Rules      ruleFile                   `json:"prometheusRules"`
	Alerts     ruleFile                   `json:"prometheusAlerts"`
	Dashboards map[string]json.RawMessage `json:"grafanaDashboards"`
}

// ruleFile is a file of Prometheus's rules, with its keys in their usual order.
type ruleFile struct {
	Groups []group `json:"groups" yaml:"groups"`
}

type group struct {
	Name  string `json:"name" yaml:"name"`
	Rules []rule `json:"rules" yaml:"rules"`
}

type rule struct {
	Record        string            `json:"record" yaml:"record,omitempty"`
	Alert         string            `json:"alert" yaml:"alert,omitempty"`
	Expr          string            `json:"expr" yaml:"expr"`
	For           string            `json:"for" yaml:"for,omitempty"`
	KeepFiringFor string            `json:"keep_firing_for" yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `json:"labels" yaml:"labels,omitempty"`
	Annotations   map[string]string `json:"annotations" yaml:"annotations,omitempty"`
}

// Render returns the files of the mixin, with fields of its configuration overridden,
// by their path under rendered.
func Render(fields string) (map[string][]byte, error) {
	if err := checkFields(fields); err != nil {
		return nil, err
	}
	m, err := evaluate(withConfig(fields))
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	rules := ruleFile{Groups: append(m.Rules.Groups, m.Alerts.Groups...)}
	if files["rules.yml"], err = toYAML(rules); err != nil {
		return nil, err
	}
	for name, dashboard := range m.Dashboards {
		var text bytes.Buffer
		if err := json.Indent(&text, dashboard, "", "  "); err != nil {
			return nil, fmt.Errorf("failed to render %s: %w", name, err)
		}
		files[filepath.Join("grafana/dashboards", name)] = append(text.Bytes(), '\n')
	}
	return files, nil
}

func evaluate(expression string) (m mixin, err error) {
	text, err := newVM().EvaluateAnonymousSnippet("mixin", `
		local m = (`+expression+`);
		{ [f]: m[f] for f in ['prometheusRules', 'prometheusAlerts', 'grafanaDashboards'] }
	`)
	if err != nil {
		return m, fmt.Errorf("failed to evaluate the mixin: %w", err)
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("failed to read the mixin: %w", err)
	}
	return m, nil
}

func newVM() *jsonnet.VM {
	vm := jsonnet.MakeVM()
	vm.Importer(&jsonnet.FileImporter{JPaths: []string{"."}})
	return vm
}

func toYAML(v any) ([]byte, error) {
	text := bytes.NewBufferString(head)
	e := yaml.NewEncoder(text)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("failed to render the rules: %w", err)
	}
	return text.Bytes(), e.Close()
}
