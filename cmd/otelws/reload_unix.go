//go:build unix

package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// onReload calls f at each SIGHUP, until the function that it returns is called.
// SIGUSR1 and SIGUSR2, by which other servers are told to open their logs again or
// to upgrade, do not end the process meanwhile.
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
				logger.Info("a signal without a meaning here", "signal", s.String())
			}
		}
	}()
	return func() {
		signal.Stop(signals) // nothing is sent to it after that
		close(signals)
		<-ended
	}
}
