//go:build unix

package main_test

import (
	"testing"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
)

// The releases are what GoReleaser understands, without anything that it warns of.
func TestReleaseConfiguration(t *testing.T) {
	tool(t, binaries.GoReleaser, nil, "check", "../../.goreleaser.yaml")
}
