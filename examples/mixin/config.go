package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// withConfig is the mixin with fields of its configuration overridden. Thresholds that
// the fields leave out stay, with "thresholds:" as with "thresholds+:".
func withConfig(fields string) string {
	return `(import 'mixin.libsonnet') + { _config+:: { ` + fields + `
	} } + { _config+:: { thresholds: (import 'config.libsonnet')._config.thresholds + super.thresholds } }`
}

// checkFields returns an error for fields that the configuration does not have, because they would
// change nothing, and for values of another type: a string instead of a list is a list of letters.
func checkFields(fields string) error {
	text, err := newVM().EvaluateAnonymousSnippet("-config", `
		local known = (import 'config.libsonnet')._config;
		local given = known { `+fields+`
		};
		local typesOf(object, prefix) = { [prefix + f]: std.type(object[f]) for f in std.objectFieldsAll(object) };
		local types(config) =
			typesOf(config, '') + if std.isObject(config.thresholds) then typesOf(config.thresholds, 'thresholds.') else {};
		{ known: types(known), given: types(given) }
	`)
	if err != nil {
		return fmt.Errorf("-config: %w", err)
	}
	var types struct{ Known, Given map[string]string }
	if err := json.Unmarshal([]byte(text), &types); err != nil {
		return fmt.Errorf("-config: %w", err)
	}
	known := slices.Sorted(maps.Keys(types.Known))
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(types.Given)) {
		typ, ok := types.Known[name]
		if !ok {
			advice := "see config.libsonnet"
			if near := nearest(name, known); near != "" {
				advice = "did you mean " + near + "?"
			}
			wrong = append(wrong, fmt.Sprintf("unknown field %s: %s", name, advice))
		} else if got := types.Given[name]; got != typ {
			wrong = append(wrong, fmt.Sprintf("field %s is of type %s, not %s: see config.libsonnet", name, got, typ))
		}
	}
	if len(wrong) > 0 {
		return errors.New("-config: " + strings.Join(wrong, "; "))
	}
	return nil
}

// nearest returns the known name that differs least from a mistyped one, or "" if all
// differ in more than a third. A threshold may lack its "thresholds.".
func nearest(typed string, known []string) (near string) {
	short := func(name string) string { return name[strings.LastIndex(name, ".")+1:] }
	least := len(short(typed))/3 + 1
	for _, name := range known {
		if d := min(distance(typed, name), distance(typed, short(name))); d < least {
			near, least = name, d
		}
	}
	return near
}

// distance is the number of letters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
