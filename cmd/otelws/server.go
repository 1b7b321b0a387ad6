package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/otelws/otelws-go/otelws"
)

// drainTime is the time limit of coder/websocket's close handshake: five seconds to write the close
// frame, and five for the answer.
const drainTime = 10 * time.Second

// listen listens on address, which is the value of flag.
func listen(flag, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("--%s %s: use host:port, such as localhost:8080 or :8080: %w", flag, address, err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--%s %s: %w", flag, address, err)
	}
	return l, nil
}

// reachable returns a host and port at which clients on this machine reach l. It keeps the host that
// the user gave in address.
func reachable(l net.Listener, address string) string {
	host, _, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(host, port)
}

// metricsURL returns the address of the metrics. With a web configuration it has no scheme, because
// that file decides between HTTP and HTTPS.
func metricsURL(l net.Listener, address, webConfig string) string {
	place := reachable(l, address) + "/metrics"
	if webConfig != "" {
		return place + " (see --web.config.file)"
	}
	return "http://" + place
}

// server is an http.Server for WebSockets and small pages.
type server struct {
	http   http.Server
	ws     *otelws.Instrumentation
	logger *slog.Logger
}

// newServer returns a server without a handler. Its timeouts end with the handshake: they do not
// apply to hijacked connections.
func newServer(ws *otelws.Instrumentation, logger *slog.Logger) *server {
	return &server{ws: ws, logger: logger, http: http.Server{
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}}
}

// serve serves on l until ctx is done. Then it accepts no more connections, and sends a close frame
// to every client.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(l) }()
	var failure error
	select {
	case err := <-served:
		failure = fmt.Errorf("failed to serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
		s.logger.Info("closing connections", "address", l.Addr().String())
	}

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := s.shutdown(grace); err != nil {
		s.logger.Warn("cut connections that did not end in time", "err", err)
	}
	return failure
}

// shutdown drains twice: at once, because Shutdown can wait five seconds for a connection that a
// browser opened in advance, and after Shutdown, for WebSockets that were opened in the meantime.
func (s *server) shutdown(ctx context.Context) error {
	first := make(chan error, 1)
	go func() { first <- s.ws.Drain(ctx) }()
	return errors.Join(s.http.Shutdown(ctx), s.ws.Drain(ctx), <-first, s.http.Close())
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
