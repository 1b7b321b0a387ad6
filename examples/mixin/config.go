package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// withConfig is the mixin with fields of its configuration overridden. Thresholds that
// the fields leave out stay, with "thresholds:" as with "thresholds+:".
func withConfig(fields string) string {
	return `(import 'mixin.libsonnet') + { _config+:: { ` + fields + `
	} } + { _config+:: { thresholds: (import 'config.libsonnet')._config.thresholds + super.thresholds } }`
}

// checkFields returns an error for fields that the configuration does not have: they
// would change nothing.
func checkFields(fields string) error {
	text, err := newVM().EvaluateAnonymousSnippet("-config", `
		local known = (import 'config.libsonnet')._config;
		local given = known { `+fields+`
		};
		local names(config) =
			std.objectFieldsAll(config)
			+ if std.isObject(config.thresholds) then ['thresholds.' + f for f in std.objectFieldsAll(config.thresholds)] else [];
		{ known: names(known), given: names(given), object: std.isObject(given.thresholds) }
	`)
	if err != nil {
		return fmt.Errorf("-config: %w", err)
	}
	var names struct {
		Known, Given []string
		Object       bool
	}
	if err := json.Unmarshal([]byte(text), &names); err != nil {
		return fmt.Errorf("-config: %w", err)
	}
	if !names.Object {
		return errors.New("-config: thresholds: use an object, such as { abnormal: 0.5 }")
	}
	var unknown []string
	for _, name := range names.Given {
		if slices.Contains(names.Known, name) {
			continue
		}
		advice := "see config.libsonnet"
		if near := nearest(name, names.Known); near != "" {
			advice = "did you mean " + near + "?"
		}
		unknown = append(unknown, fmt.Sprintf("unknown field %s: %s", name, advice))
	}
	if len(unknown) > 0 {
		return errors.New("-config: " + strings.Join(unknown, "; "))
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
