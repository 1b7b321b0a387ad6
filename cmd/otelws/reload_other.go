//go:build !unix

package main

import "log/slog"

// onReload does nothing where there is no signal for it.
func onReload(func(), *slog.Logger) (stop func()) { return func() {} }
