//go:build unix

package main_test

import (
	"testing"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
)

// GoReleaser accepts the release configuration without warnings.
func TestReleaseConfiguration(t *testing.T) {
	tool(t, binaries.GoReleaser, nil, "check", "../../.goreleaser.yaml")
}
