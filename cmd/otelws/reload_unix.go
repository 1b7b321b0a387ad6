//go:build unix

package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// reloader calls a function at each SIGHUP. From newReloader until stop, neither SIGHUP nor SIGUSR1 and
// SIGUSR2 end the process: other servers reopen their logs or upgrade at these signals.
type reloader struct {
	reload, ignore chan os.Signal
	stopped        chan struct{}
}

func newReloader() *reloader {
	r := &reloader{make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan struct{})}
	signal.Notify(r.reload, syscall.SIGHUP)
	signal.Notify(r.ignore, syscall.SIGUSR1, syscall.SIGUSR2)
	return r
}

// start begins to call f, at once if a SIGHUP has come already.
func (r *reloader) start(f func(), logger *slog.Logger) {
	go func() {
		for {
			select {
			case <-r.stopped:
				return
			case <-r.reload:
				f()
			case s := <-r.ignore:
				logger.Info("ignored a signal", "signal", s.String())
			}
		}
	}()
}

// stop does not wait for f, which may read a file that never ends, such as a pipe.
func (r *reloader) stop() {
	signal.Stop(r.reload)
	signal.Stop(r.ignore)
	close(r.stopped)
}
