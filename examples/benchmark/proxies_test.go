package main

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// otelws proxy is always measured. Its metrics must match the clients' counts, or
// compareProxies fails.
func TestProxies(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads the CPU time of processes from /proc")
	}
	var stdout, stderr bytes.Buffer
	args := []string{"-rounds", "1", "-duration", "20ms", "-connections", "5", "-sizes", "64,100000"}
	if err := compareProxies(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	for _, proxy := range []string{"otelws", "haproxy", "nginx"} {
		measured, skipped := strings.Count(stdout.String(), proxy+" "), strings.Contains(stderr.String(), "skipped: "+proxy)
		if proxy == "otelws" {
			measured-- // the heading
		}
		if measured != 2 && !(skipped && proxy != "otelws") {
			t.Errorf("%s is in %d lines, skipped %v", proxy, measured, skipped)
		}
	}
}

func TestProxiesErrors(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-sizes", "x"}, {"-sizes", ""}, {"-connections", "0"}, {"now"}} {
		var stderr bytes.Buffer
		if err := compareProxies(t.Context(), args, &stderr, &stderr); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
