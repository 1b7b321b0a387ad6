package exporter

import (
	"context"
	"errors"
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
	// A process with many connections runs out of descriptors first.
	maxConns = 512
	// Enough for the headers that proxies add. net/http reads another 4 KiB before it refuses.
	maxHeaderBytes = 16 << 10
	// Longer than Prometheus's default scrape interval, so that Prometheus reuses its connection.
	idleTimeout = 2 * time.Minute
)

// ListenAndServe listens on the configured address and serves [Exporter.Handler] until ctx is done.
// Then it returns nil; see [Exporter.Serve] for the details. It returns an error if the web
// configuration is invalid, if it cannot listen on the address, or if serving fails. It checks the
// web configuration before it listens.
func (e *Exporter) ListenAndServe(ctx context.Context) error {
	if err := validateWebConfig(e.cfg.webConfigFile); err != nil {
		return err
	}
	// Listen does not get ctx: Serve handles a context that is done, whether before or after the
	// start.
	l, err := net.Listen("tcp", e.cfg.listenAddress)
	if err != nil {
		return fmt.Errorf("failed to listen for scrapes, choose a free address with WithListenAddress: %w", err)
	}
	return e.Serve(ctx, l)
}

// Serve serves [Exporter.Handler] on l until ctx is done, and then returns nil. It always closes l,
// even if it returns an error. A command usually passes a context of signal.NotifyContext.
//
// When ctx is done, Serve accepts no more connections. Scrapes in progress may end within the
// scrape timeout. Then Serve closes all remaining connections.
//
// While it serves, Serve keeps 16 file descriptors in reserve. With these it can answer a scrape
// even if the process has run out of descriptors.
//
// Serve may be called several times, also concurrently, for several listeners.
func (e *Exporter) Serve(ctx context.Context, l net.Listener) error {
	if l == nil {
		return errors.New("invalid listener: it is nil")
	}
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
		e.cfg.logger.Warn("closing connections with scrapes that did not end in time", "grace", e.cfg.scrapeTimeout)
		srv.Close()
	}
	<-served
	return nil
}

func (e *Exporter) newServer() *http.Server {
	timeout := e.cfg.scrapeTimeout
	connLog := &errorLog{logger: e.cfg.logger, msg: "failed to serve a connection"}
	return &http.Server{
		Handler:        e.reserve.handle(e.router),
		BaseContext:    func(net.Listener) context.Context { return context.WithValue(context.Background(), servedKey{}, true) },
		ErrorLog:       log.New(connLog, "", 0),
		MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout:    timeout,
		// This runs from the end of the request's headers: the time to collect, and the same time
		// again to read the response.
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

// oneLineError joins the lines of the YAML parser's errors.
type oneLineError struct{ error }

func (e oneLineError) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

func (e oneLineError) Unwrap() error { return e.error }
