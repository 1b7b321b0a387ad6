package servers

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// newGorilla returns bare gorilla/websocket. A message that is larger than its buffer of 4 KiB
// takes one vectored write.
func newGorilla(Options) (*Server, error) { return gorillaServer(0), nil }

// newGorillaBuffered has a buffer for every message, from a pool, so that an idle connection holds
// none.
func newGorillaBuffered(Options) (*Server, error) { return gorillaServer(gorillaBuffer), nil }

// newGorillaOtelws is newGorilla with otelws. On the tap, as with TLS, a vectored write becomes two
// writes.
func newGorillaOtelws(Options) (*Server, error) { return watchedGorilla(0) }

// newGorillaBufferedOtelws is newGorillaBuffered with otelws.
func newGorillaBufferedOtelws(Options) (*Server, error) { return watchedGorilla(gorillaBuffer) }

const gorillaBuffer = 16<<10 + 512

func gorillaServer(writeBuffer int) *Server {
	u := gorilla.Upgrader{}
	if writeBuffer > 0 {
		u.WriteBufferSize, u.WriteBufferPool = writeBuffer, new(sync.Pool)
	}
	return &Server{Accept: func(w http.ResponseWriter, r *http.Request) (Conn, error) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return nil, err
		}
		return gorillaConn{c}, nil
	}}
}

func watchedGorilla(writeBuffer int) (*Server, error) {
	exp, err := exporter.New()
	if err != nil {
		return nil, err
	}
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		return nil, err
	}
	s := gorillaServer(writeBuffer)
	s.Wrap, s.Metrics, s.Shutdown = ws.Handler, exp.Handler(), exp.Shutdown
	return s, nil
}

type gorillaConn struct{ *gorilla.Conn }

func (c gorillaConn) Read(context.Context) (websocket.MessageType, []byte, error) {
	typ, message, err := c.ReadMessage()
	return websocket.MessageType(typ), message, err
}

func (c gorillaConn) Write(_ context.Context, typ websocket.MessageType, message []byte) error {
	return c.WriteMessage(int(typ), message)
}

func (c gorillaConn) CloseNow() error { return c.Close() }
