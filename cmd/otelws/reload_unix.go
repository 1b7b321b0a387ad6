//go:build unix

package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// onReload calls f at each SIGHUP until stop is called. Until then, SIGUSR1 and
// SIGUSR2 do not end the process: other servers reopen their logs or upgrade at these
// signals.
func onReload(f func(), logger *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := range signals {
			if s == syscall.SIGHUP {
				f()
			} else {
				logger.Info("ignored a signal", "signal", s.String())
			}
		}
	}()
	return func() {
		signal.Stop(signals) // no sends after this, so close is safe
		close(signals)
		<-ended
	}
}
