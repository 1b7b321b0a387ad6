// Package servers has one small WebSocket application, and the ways to have
// metrics of it: one file each, to be read side by side.
package servers

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Conn is what the application uses of a connection. *websocket.Conn is one.
type Conn interface {
	Read(context.Context) (websocket.MessageType, []byte, error)
	Write(context.Context, websocket.MessageType, []byte) error
	CloseNow() error
}

// Server is the application with one kind of instrumentation, or with none.
type Server struct {
	// Accept upgrades the request of a handler. It has answered it where it
	// returns an error. The handler calls CloseNow of the connection once, last.
	Accept func(http.ResponseWriter, *http.Request) (Conn, error)
	// Wrap, where it is set, goes around the application's handler.
	Wrap func(http.Handler) http.Handler
	// Metrics, where it is set, answers scrapes.
	Metrics http.Handler
	// Shutdown, where it is set, ends what the server started.
	Shutdown func(context.Context) error
}

// Options are those of every server.
type Options struct {
	// Heartbeat is the time between pings. There are none where it is 0.
	Heartbeat time.Duration
}

// Handler returns the application: /echo sends back what it receives, /room
// sends it to everybody in the room.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", s.echo)
	mux.Handle("/room", &room{accept: s.Accept, members: make(map[Conn]struct{})})
	if s.Wrap != nil {
		return s.Wrap(mux)
	}
	return mux
}

func (s *Server) echo(w http.ResponseWriter, r *http.Request) {
	c, err := s.Accept(w, r)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		typ, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), typ, message); err != nil {
			return
		}
	}
}

type room struct {
	accept func(http.ResponseWriter, *http.Request) (Conn, error)

	mu      sync.Mutex
	members map[Conn]struct{}
}

func (m *room) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := m.accept(w, r)
	if err != nil {
		return
	}
	defer c.CloseNow()
	m.enter(c)
	defer m.leave(c)
	for {
		typ, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		m.send(r.Context(), typ, message)
	}
}

func (m *room) enter(c Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members[c] = struct{}{}
}

func (m *room) leave(c Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.members, c)
}

func (m *room) send(ctx context.Context, typ websocket.MessageType, message []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.members {
		_ = c.Write(ctx, typ, message) // whose reader sees the error, and leaves
	}
}
