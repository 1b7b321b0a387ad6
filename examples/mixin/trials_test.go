package main

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// trial is a test of promtool's, with the names of the rules that it is run with: few
// rules take little time. Expectations on other rules fail then, so that a trial
// notices what changes its output, and not what makes it fail.
type trial struct {
	test  string
	rules map[string]bool
	sound func() string // the output with the rules as they should be
}

func newTrial(t *testing.T, groups []group, test string, rules map[string]bool) *trial {
	tr := &trial{test: test, rules: rules}
	tr.sound = sync.OnceValue(func() string {
		output := tr.output(t, groups)
		if again := tr.output(t, groups); again != output {
			t.Errorf("one test has two outputs, and notices anything:\n%s\n%s", output, again)
		}
		return output
	})
	return tr
}

// notices says whether the test fails with groups that are broken.
func (tr *trial) notices(t *testing.T, groups, broken []group) bool {
	return tr.output(t, broken) != tr.sound()
}

func (tr *trial) output(t *testing.T, groups []group) string {
	var of []group
	for _, g := range groups {
		g.Rules = slices.DeleteFunc(slices.Clone(g.Rules), func(r rule) bool { return !tr.rules[r.name()] })
		of = append(of, g)
	}
	output, _ := runTests(t, toRules(t, of), tr.test)
	lines := strings.Split(output, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// trials returns the tests that are to notice a change of r, the quickest first: those
// of the matrix, by alert, that are of r or of what comes of it, and those in files.
func trials(t *testing.T, tests map[string]string, groups []group, r rule) (all []*trial) {
	files := []string{"details.yml", "hostile.yml", "crowds.yml", "scrapes.yml", "deploys.yml"}
	more := []string{"targets.yml", "missing.yml", "fleet.jsonnet"}
	concerned := make(map[string]bool)
	for _, g := range groups {
		for _, other := range g.Rules {
			needs := needs(groups, other)
			if !needs[r.name()] {
				continue
			}
			for name := range needs {
				concerned[name] = true
			}
			if file, ok := tests[other.Alert]; ok {
				for _, test := range split(t, file) {
					all = append(all, newTrial(t, groups, test, needs))
				}
			} else if other.Alert != "" {
				files, more = slices.Concat(more, files), nil
			}
		}
	}
	if r.Record != "" {
		files = slices.Insert(files, 0, "records.jsonnet")
	}
	for _, name := range files {
		for _, test := range split(t, readTest(t, filepath.Join("tests", name))) {
			all = append(all, newTrial(t, groups, test, concerned))
		}
	}
	return all
}

// testFile is a file of promtool's tests.
type testFile struct {
	Tests []test         `yaml:"tests"`
	Other map[string]any `yaml:",inline"`
}

// test has its series in a type of their own, because 0x20 is no number there, but
// twenty times 0.
type test struct {
	Series []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Other map[string]any `yaml:",inline"`
}

// split returns the tests of a file, each as a file of its own.
func split(t *testing.T, text string) (files []string) {
	t.Helper()
	var file testFile
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	for _, one := range file.Tests {
		text, err := yaml.Marshal(testFile{Tests: []test{one}, Other: file.Other})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(text))
	}
	return files
}

// needs returns the names of the rules that r goes by, its own among them.
func needs(groups []group, r rule) map[string]bool {
	needed := map[string]bool{r.name(): true}
	exprs := r.Expr
	for before := 0; before != len(needed); {
		before = len(needed)
		for _, g := range groups {
			for _, other := range g.Rules {
				if other.Record != "" && !needed[other.Record] && strings.Contains(exprs, other.Record) {
					needed[other.Record] = true
					exprs += other.Expr
				}
			}
		}
	}
	return needed
}
