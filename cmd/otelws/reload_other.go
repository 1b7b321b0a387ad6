//go:build !unix

package main

import "log/slog"

// reloader does nothing on systems without SIGHUP.
type reloader struct{}

func newReloader() *reloader { return new(reloader) }

func (*reloader) start(func(), *slog.Logger) {}

func (*reloader) stop() {}
