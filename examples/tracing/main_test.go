package main

import (
	"fmt"
	"strings"
	"testing"
)

// One trace goes through both services and back.
func TestTrace(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	type span struct{ id, parent, name string }
	spans := make(map[string]span)
	byID := make(map[string]string)
	trace := ""
	for line := range strings.Lines(out.String()) {
		var in string
		var s span
		head, name, _ := strings.Cut(strings.TrimSpace(line), ": ")
		service := head[strings.LastIndex(head, " ")+1:]
		if _, err := fmt.Sscanf(head, "trace=%s span=%s parent=%s", &in, &s.id, &s.parent); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if trace == "" {
			trace = in
		}
		if in != trace {
			t.Errorf("%q is in another trace", line)
		}
		s.name = service + ": " + name
		spans[s.name], byID[s.id] = s, s.name
	}
	for child, parent := range map[string]string{
		"shop: internal checkout":          "",
		"shop: client GET":                 "shop: internal checkout",
		"prices: server GET":               "shop: client GET",
		"shop: producer send /prices":      "shop: internal checkout",
		"prices: consumer process /prices": "shop: producer send /prices",
		"prices: internal look up tea":     "prices: consumer process /prices",
		"prices: producer send /prices":    "prices: internal look up tea",
		"shop: consumer process /prices":   "prices: producer send /prices",
	} {
		if s, ok := spans[child]; !ok || byID[s.parent] != parent {
			t.Errorf("%s is there: %v, its parent is %q, want %q", child, ok, byID[s.parent], parent)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}
