//go:build unix

package binaries

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/otelws/otelws-go/examples/stack/internal/process"
)

// goInstall is a package to build with go install.
type goInstall struct{ Package, Tags, LDFlags string }

func (r goInstall) build(ctx context.Context, dir, output string) error {
	_, err := goCommand(ctx, dir, []string{"GOBIN=" + filepath.Dir(output)},
		"install", "-trimpath", "-tags", r.Tags, "-ldflags", strip(r.LDFlags), r.Package)
	return err
}

// goSource is a package to build in a copy of its module's source.
type goSource struct{ Module, Package string }

func (r goSource) build(ctx context.Context, dir, output string) error {
	out, err := goCommand(ctx, dir, nil, "mod", "download", "-json", r.Module)
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return fmt.Errorf("failed to find the source of %s: %w", r.Module, err)
	}
	if err := os.CopyFS(dir, os.DirFS(module.Dir)); err != nil {
		return err
	}
	_, err = goCommand(ctx, dir, nil, "build", "-trimpath", "-ldflags", strip(""), "-o", output, r.Package)
	return err
}

// collectorBuilder is a Collector with the components in Manifest, built by the
// Collector's builder.
type collectorBuilder struct{ Builder, Manifest string }

func (r collectorBuilder) build(ctx context.Context, dir, output string) error {
	builder := filepath.Join(dir, "builder")
	if err := (goInstall{Package: r.Builder}).build(ctx, dir, builder); err != nil {
		return err
	}
	manifest := filepath.Join(dir, "manifest.yaml")
	if err := os.WriteFile(manifest, []byte(r.Manifest), 0o644); err != nil {
		return err
	}
	// go mod tidy -e ignores missing imports of the components' tests.
	if _, err := command(ctx, dir, []string{"GOFLAGS=-e"}, builder, "--config", manifest); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "collector", "otelcol"), output)
}

func strip(ldflags string) string { return strings.TrimSpace("-s -w " + ldflags) }

func goCommand(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	return command(ctx, dir, append(env, "GOWORK=off"), "go", args...)
}

func command(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	return process.Output(ctx, cmd)
}
