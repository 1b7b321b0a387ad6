package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-jsonnet"
	"go.yaml.in/yaml/v3"
)

// promtool returns the path of the stack's promtool, which is built once.
var promtool = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "run", ".", "build", "promtool")
	cmd.Dir = "../stack"
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
})

// readTest returns a file of tests, to be run beside rules.yml.
func readTest(t *testing.T, path string) string {
	t.Helper()
	if filepath.Ext(path) == ".jsonnet" {
		var test map[string]any
		evaluateTest(t, path, &test)
		return toTest(t, test)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), "../../stack/config/rules.yml", "rules.yml", 1)
}

func evaluateTest(t *testing.T, path string, tests any) {
	t.Helper()
	text, err := jsonnet.MakeVM().EvaluateFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), tests); err != nil {
		t.Fatal(err)
	}
}

func toTest(t *testing.T, test map[string]any) string {
	t.Helper()
	test["rule_files"] = []string{"rules.yml"}
	file, err := json.Marshal(test) // which is YAML
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}

// runTests runs one of promtool's files of tests against rules, and returns what
// failed.
func runTests(t *testing.T, rules []byte, test string) (output string, ok bool) {
	t.Helper()
	path, err := promtool()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"rules.yml": rules, "test.yml": inOrder(t, rules, test)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "test", "rules", "test.yml")
	cmd.Dir = dir // whose name is in no output
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// inOrder returns test with the order of the groups in rules. Without an order, promtool evaluates the
// groups in a random one, and an alert may come one evaluation later.
func inOrder(t *testing.T, rules []byte, test string) []byte {
	t.Helper()
	var file ruleFile
	if err := yaml.Unmarshal(rules, &file); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range file.Groups {
		names = append(names, g.Name)
	}
	order := "group_eval_order: [" + strings.Join(names, ", ") + "]"
	if json, ok := strings.CutPrefix(test, "{"); ok {
		return []byte("{" + order + ", " + json)
	}
	return []byte(order + "\n" + test)
}

// matrix returns the tests of tests/matrix.jsonnet by alert.
func matrix(t *testing.T) map[string]string {
	t.Helper()
	var tests map[string]map[string]any
	evaluateTest(t, "tests/matrix.jsonnet", &tests)
	files := make(map[string]string)
	for name, test := range tests {
		files[name] = toTest(t, test)
	}
	return files
}

func TestEachAlert(t *testing.T) {
	rules := render(t, "")["rules.yml"]
	for name, test := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if output, ok := runTests(t, rules, test); !ok {
				t.Error(output)
			}
		})
	}
}

func TestSituations(t *testing.T) {
	rules := render(t, "")["rules.yml"]
	paths, err := filepath.Glob("tests/*.*")
	if err != nil || len(paths) == 0 {
		t.Fatal("no tests", err)
	}
	for _, path := range paths {
		if filepath.Ext(path) == ".libsonnet" || path == "tests/matrix.jsonnet" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			if output, ok := runTests(t, rules, readTest(t, path)); !ok {
				t.Error(output)
			}
		})
	}
}
