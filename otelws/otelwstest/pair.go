package otelwstest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// Pair returns the two ends of a connection in memory. ws watches both: the server as an accepted
// connection, the client as a dialed one. accept and dial may be nil. dial.HTTPClient is ignored.
// The end of the test closes both. Pair fails the test if the handshake fails.
//
// Each end buffers 64 KiB that the peer has not read. Further writes wait.
func Pair(tb testing.TB, ws *otelws.Instrumentation, accept *websocket.AcceptOptions, dial *websocket.DialOptions) (server, client *websocket.Conn) {
	tb.Helper()
	accepted := make(chan *websocket.Conn, 1)
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, accept)
		if err != nil {
			tb.Errorf("otelwstest: %v", err)
		}
		accepted <- c
	})}
	go func() { _ = hs.Serve(l) }()

	var o websocket.DialOptions
	if dial != nil {
		o = *dial
	}
	transport := &http.Transport{DialContext: l.dial}
	o.HTTPClient = &http.Client{Transport: transport}
	client, _, err := ws.Dial(context.Background(), "ws://pair", &o)
	if err != nil {
		tb.Fatalf("otelwstest: %v", err)
	}
	server = <-accepted
	if server == nil {
		tb.FailNow()
	}
	tb.Cleanup(func() {
		_ = client.CloseNow()
		_ = server.CloseNow()
		_ = hs.Close()
		transport.CloseIdleConnections()
	})
	return server, client
}

// listener accepts the connections that its dial method opens.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return pipeAddr{} }
