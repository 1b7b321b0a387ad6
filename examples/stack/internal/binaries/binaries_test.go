//go:build unix

package binaries

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// interrupted is a recipe whose build does not finish.
type interrupted struct{ T *testing.T }

func (r interrupted) build(_ context.Context, dir, output string) error {
	for _, path := range []string{filepath.Join(dir, "file"), output} {
		if _, err := os.Stat(path); err == nil {
			r.T.Errorf("%s is there from another build", path)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			r.T.Error(err)
		}
	}
	return context.Canceled
}

// An aborted build removes its files, except the lock, and also the files of a killed
// build.
func TestInterruptedBuild(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(CacheVariable, cache)
	b := Binary{Name: "thing", Version: "1", recipe: interrupted{t}}
	killed := filepath.Join(cache, ".build-"+b.key(), "source")
	if err := os.MkdirAll(killed, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := b.Path(t.Context(), io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("the build ended with %v", err)
		}
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 || entries[0].Name() != b.key()+".lock" {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if b.Built() {
		t.Error("it counts as built")
	}
}
