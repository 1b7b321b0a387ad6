package main

import (
	"flag"
	"fmt"
	"maps"
	"path/filepath"
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
	groups := append(m.Rules.Groups, m.Alerts.Groups...)
	for _, g := range groups {
		for i := range g.Rules {
			original := g.Rules[i]
			if !wanted.MatchString(original.name()) {
				continue
			}
			trials := trials(t, groups, original)
			mutants := original.mutants()
			for what, mutant := range mutants {
				g.Rules[i] = mutant
				if !slices.ContainsFunc(trials, func(tr trial) bool {
					_, ok := runTests(t, toRules(t, tr.of(groups)), tr.test)
					return !ok
				}) {
					t.Errorf("%s survives: %s", original.name(), what)
				}
			}
			g.Rules[i] = original
			t.Logf("%s: %d mutants", original.name(), len(mutants))
		}
	}
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

// trial is a test, with the names of the rules that it takes: nil for all.
type trial struct {
	test  string
	rules map[string]bool
}

func (tr trial) of(groups []group) []group {
	if tr.rules == nil {
		return groups
	}
	var of []group
	for _, g := range groups {
		g.Rules = slices.DeleteFunc(slices.Clone(g.Rules), func(r rule) bool { return !tr.rules[r.name()] })
		of = append(of, g)
	}
	return of
}

// trials returns the tests that are to notice a change of r: those of the alerts
// that come of it.
func trials(t *testing.T, groups []group, r rule) (all []trial) {
	tests := matrix(t)
	files := map[string]bool{"details": true}
	for _, g := range groups {
		for _, alert := range g.Rules {
			needs := needs(groups, alert)
			if alert.Alert == "" || !needs[r.name()] {
				continue
			}
			if test, ok := tests[alert.Alert]; ok {
				all = append(all, trial{test, needs})
			} else {
				files["targets"], files["missing"] = true, true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = append(all, trial{readTest(t, filepath.Join("tests", name+".yml")), nil})
	}
	return all
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
