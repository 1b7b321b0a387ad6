package main

import (
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var broken = flag.String("mutants", "", "break the rules whose names match this `regexp` in all ways, which takes minutes: . for all of them")

// Each way in which a rule can be wrong makes a test fail.
func TestMutantsAreCaught(t *testing.T) {
	if *broken == "" {
		t.Skip("takes minutes: go test -run Mutants -timeout 0 -mutants .")
	}
	wanted := regexp.MustCompile(*broken)
	m, err := evaluate(withConfig(""))
	if err != nil {
		t.Fatal(err)
	}
	groups, tests := append(m.Rules.Groups, m.Alerts.Groups...), matrix(t)
	for _, g := range groups {
		for i, original := range g.Rules {
			if !wanted.MatchString(original.name()) {
				continue
			}
			// Two alerts may have one name.
			t.Run(fmt.Sprintf("%s/%d", original.name(), i), func(t *testing.T) {
				t.Parallel()
				trials := trials(t, tests, groups, original)
				for what, mutant := range original.mutants() {
					broken := with(groups, g.Name, i, mutant)
					if !slices.ContainsFunc(trials, func(tr *trial) bool { return tr.notices(t, groups, broken) }) {
						t.Errorf("%s survives", what)
					}
				}
			})
		}
	}
}

// with returns the groups with rule i of one of them replaced.
func with(groups []group, name string, i int, r rule) []group {
	groups = slices.Clone(groups)
	for n, g := range groups {
		if g.Name == name {
			groups[n].Rules = slices.Clone(g.Rules)
			groups[n].Rules[i] = r
		}
	}
	return groups
}

func toRules(t *testing.T, groups []group) []byte {
	t.Helper()
	text, err := yaml.Marshal(ruleFile{groups})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r rule) name() string { return r.Record + r.Alert }

var (
	number     = regexp.MustCompile(`(?:[<>=] |\* )(\d+(?:\.\d+)?)`)
	comparison = regexp.MustCompile(` ([<>]=?|==) `)
	clause     = regexp.MustCompile(`(?m)\n? *\b(?:and|unless) .*$`)
	labels     = regexp.MustCompile(`(?:cluster|namespace|pod), |, instance`)
	matcher    = regexp.MustCompile(`[a-z_]+(!=|=~|=)"`)
	sum        = regexp.MustCompile(`\b(?:sum|max|count) by`)
	bound      = regexp.MustCompile(`le=~"\d+`)
)

// mutants returns the rule with one thing wrong, by what that is.
func (r rule) mutants() map[string]rule {
	all := make(map[string]rule)
	add := func(what string, change func(*rule)) {
		mutant := r
		change(&mutant)
		if mutant.Expr != r.Expr || mutant.For != r.For || mutant.KeepFiringFor != r.KeepFiringFor || mutant.Labels["severity"] != r.Labels["severity"] {
			all[what] = mutant
		}
	}
	replace := func(what string, at []int, with string) {
		expr := r.Expr[:at[0]] + with + r.Expr[at[1]:]
		add(fmt.Sprintf("%s: %q becomes %q at %d", what, r.Expr[at[0]:at[1]], with, at[0]), func(m *rule) { m.Expr = expr })
	}
	each := func(what string, pattern *regexp.Regexp, with func(string) []string) {
		for _, at := range pattern.FindAllStringSubmatchIndex(r.Expr, -1) {
			at = at[len(at)-2:] // the last group, or all of it
			for _, w := range with(r.Expr[at[0]:at[1]]) {
				replace(what, at, w)
			}
		}
	}
	each("clause", clause, func(string) []string { return []string{""} })
	each("aggregation", sum, func(s string) []string { return []string{"min by"} })
	each("labels", labels, func(string) []string { return []string{""} })
	each("matcher", matcher, func(op string) []string {
		return []string{map[string]string{"=": "!=", "!=": "=", "=~": "!~"}[op]}
	})
	each("bound", bound, func(s string) []string { return []string{`le=~"7`} })
	each("comparison", comparison, func(op string) []string {
		return []string{map[string]string{">": "<", "<": ">", ">=": "<", "<=": ">", "==": "!="}[op]}
	})
	each("number", number, func(s string) []string {
		n, _ := strconv.ParseFloat(s, 64)
		if n == 0 {
			return []string{"1"}
		}
		return []string{fmt.Sprint(n / 2), fmt.Sprint(n * 2)}
	})
	for i, part := range strings.Split(r.Expr, "\nor\n") {
		add(fmt.Sprintf("alternative %d is gone: %s", i, part), func(m *rule) {
			m.Expr = strings.Join(slices.Delete(strings.Split(r.Expr, "\nor\n"), i, i+1), "\nor\n")
			if m.Expr == "" {
				m.Expr = r.Expr
			}
		})
	}
	if r.Alert != "" {
		add("for is longer", func(m *rule) { m.For = "59m" })
		add("for is gone", func(m *rule) { m.For = "" })
		add("keep_firing_for is gone", func(m *rule) { m.KeepFiringFor = "" })
		add("severity", func(m *rule) { m.Labels = map[string]string{"severity": "page"} })
	}
	return all
}
