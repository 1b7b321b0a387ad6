//go:build unix

// Package binaries builds the programs of the stack from their published sources,
// once, and caches them.
package binaries

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// CacheVariable is the environment variable with the directory of the cache. The
// default is otelws-stack in the user's cache directory.
const CacheVariable = "OTELWS_STACK_CACHE"

// Binary is a program at a fixed version.
type Binary struct {
	Name, Version string

	took   time.Duration
	recipe recipe
}

func (b Binary) String() string { return b.Name + " " + b.Version }

// recipe describes how to build a program. Its printed form identifies the result in
// the cache, so its fields must contain everything that affects the result.
type recipe interface {
	// build writes the program to output. It may use the empty directory dir.
	build(ctx context.Context, dir, output string) error
}

// Path returns the path of b, and builds b if the cache does not have it. A build
// takes minutes and reports its progress. Other processes wait for a running build,
// and an aborted build leaves no partial result.
func (b Binary) Path(ctx context.Context, progress io.Writer) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, b.key(), b.Name)
	if exists(path) {
		return path, nil
	}
	unlock, err := b.lock(ctx, filepath.Join(cache, b.key()+".lock"), progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(path) {
		return path, nil
	}
	if err := b.build(ctx, cache, filepath.Dir(path), progress); err != nil {
		return "", fmt.Errorf("failed to build %s: %w", b, err)
	}
	return path, nil
}

// Built reports whether the cache has b, so that Path returns at once.
func (b Binary) Built() bool {
	cache, err := cacheDir()
	return err == nil && exists(filepath.Join(cache, b.key(), b.Name))
}

func (b Binary) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", b.recipe))
	return fmt.Sprintf("%s-%s-%s-%s-%x", b.Name, b.Version, runtime.GOOS, runtime.GOARCH, sum[:4])
}

func (b Binary) lock(ctx context.Context, path string, progress io.Writer) (unlock func(), err error) {
	l := flock.New(path)
	got, err := l.TryLock()
	if err == nil && !got {
		fmt.Fprintf(progress, "     %s is being built by another process, which is waited for\n", b)
		_, err = l.TryLockContext(ctx, 200*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to lock %s: %w", path, err)
	}
	return func() { _ = l.Close() }, nil
}

// build creates the directory target with the program, in one rename.
func (b Binary) build(ctx context.Context, cache, target string, progress io.Writer) error {
	fmt.Fprintf(progress, "     building %s in %s, once: about %v with two cores\n", b, cache, b.took)
	start := time.Now()
	work := filepath.Join(cache, ".build-"+b.key())
	// A killed build may have left its directory.
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	source, result := filepath.Join(work, "source"), filepath.Join(work, "result")
	for _, dir := range []string{source, result} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := b.recipe.build(ctx, source, filepath.Join(result, b.Name)); err != nil {
		return err
	}
	if err := os.Rename(result, target); err != nil {
		return err
	}
	fmt.Fprintf(progress, "     built %s in %v\n", b, time.Since(start).Round(time.Second))
	return nil
}

func cacheDir() (string, error) {
	dir := os.Getenv(CacheVariable)
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("failed to find a cache directory, set %s: %w", CacheVariable, err)
		}
		dir = filepath.Join(user, "otelws-stack")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
