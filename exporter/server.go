package exporter

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
)

const (
	// Descriptors are what a process with many connections runs out of first.
	maxConns = 512
	// Enough for a proxy's additions; net/http reads 4 KiB more before it refuses.
	maxHeaderBytes = 16 << 10
	// Longer than Prometheus's default scrape interval, so that its connection is reused.
	idleTimeout = 2 * time.Minute
)

// ListenAndServe listens on the configured address and serves [Exporter.Handler] there. It returns
// nil when ctx is done, and an error when the web configuration is invalid (found out before the
// address is bound), the address cannot be bound, or serving fails. See [Exporter.Serve] for what
// happens when ctx is done.
func (e *Exporter) ListenAndServe(ctx context.Context) error {
	if err := validateWebConfig(e.cfg.webConfigFile); err != nil {
		return err
	}
	// Without ctx: one that is done already is Serve's to treat, like one that ends later.
	l, err := net.Listen("tcp", e.cfg.listenAddress)
	if err != nil {
		return fmt.Errorf("failed to listen for scrapes, choose a free address of this host: %w", err)
	}
	return e.Serve(ctx, l)
}

// Serve is [Exporter.ListenAndServe] on a listener of the caller's, which it closes in any case.
// When ctx is done it accepts no more connections, lets the scrapes in progress end within the
// scrape timeout, closes what is left after that, and returns nil. A command passes a context of
// signal.NotifyContext.
//
// While it serves it keeps some descriptors back, so that it answers also where the process has run
// out of them.
//
// It may be called several times, also at once, for several listeners.
func (e *Exporter) Serve(ctx context.Context, l net.Listener) error {
	l = e.reserve.listen(l)
	defer l.Close()
	if err := validateWebConfig(e.cfg.webConfigFile); err != nil {
		return err
	}

	srv := e.newServer()
	served := make(chan error, 1)
	go func() {
		flags := &web.FlagConfig{WebConfigFile: &e.cfg.webConfigFile}
		served <- web.Serve(netutil.LimitListener(l, maxConns), srv, flags, e.cfg.logger)
	}()
	select {
	case err := <-served:
		srv.Close()
		return fmt.Errorf("failed to serve scrapes: %w", err)
	case <-ctx.Done():
	}

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.scrapeTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		e.cfg.logger.Warn("closing connections whose scrape did not end in time", "grace", e.cfg.scrapeTimeout)
		srv.Close()
	}
	<-served
	return nil
}

func (e *Exporter) newServer() *http.Server {
	timeout := e.cfg.scrapeTimeout
	connLog := &errorLog{logger: e.cfg.logger, msg: "failed to serve a connection"}
	return &http.Server{
		Handler:        e.reserve.handle(e.handler),
		BaseContext:    func(net.Listener) context.Context { return context.WithValue(context.Background(), servedKey{}, true) },
		ErrorLog:       log.New(connLog, "", 0),
		MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout:    timeout,
		// Runs from the end of the request's head: the collection, then as long again to read it.
		WriteTimeout: 2 * timeout,
		IdleTimeout:  idleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: e.cfg.maxScrapes,
			WriteByteTimeout:     timeout,
		},
	}
}

func validateWebConfig(path string) error {
	if err := web.Validate(path); err != nil {
		return fmt.Errorf("invalid web configuration file %q: %w", path, oneLineError{err})
	}
	return nil
}

// oneLineError brings the YAML parser's lists onto one line.
type oneLineError struct{ error }

func (e oneLineError) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

func (e oneLineError) Unwrap() error { return e.error }
