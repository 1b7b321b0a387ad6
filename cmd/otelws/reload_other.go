//go:build !unix

package main

import "log/slog"

// onReload does nothing on systems without SIGHUP.
func onReload(func(), *slog.Logger) (stop func()) { return func() {} }
