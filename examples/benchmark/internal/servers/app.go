// Package servers has one small WebSocket application with several kinds of metrics: one file for
// each, to compare.
package servers

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Conn has the methods of a connection that the application uses. *websocket.Conn implements it.
type Conn interface {
	Read(context.Context) (websocket.MessageType, []byte, error)
	Write(context.Context, websocket.MessageType, []byte) error
	CloseNow() error
}

// Server is the application with one kind of instrumentation, or without.
type Server struct {
	// Accept upgrades a request. If it returns an error, it has answered the request. The handler
	// calls CloseNow of the connection once, at the end.
	Accept func(http.ResponseWriter, *http.Request) (Conn, error)
	// Wrap wraps the application's handler, if it is not nil.
	Wrap func(http.Handler) http.Handler
	// Metrics serves scrapes, if it is not nil.
	Metrics http.Handler
	// Shutdown stops what the server started, if it is not nil.
	Shutdown func(context.Context) error
}

// Options are the options of every server.
type Options struct {
	// Heartbeat is the interval of the pings. 0 means none.
	Heartbeat time.Duration
}

// Handler returns the application: /echo echoes messages, and /room sends each message to all
// members of the room.
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
	c, err := m.enter(w, r)
	if err != nil {
		return
	}
	defer c.CloseNow()
	defer m.leave(c)
	for {
		typ, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		m.send(r.Context(), typ, message)
	}
}

// enter accepts a member. It holds the lock, so that no message to all can pass between the member's
// handshake and its entry.
func (m *room) enter(w http.ResponseWriter, r *http.Request) (Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.accept(w, r)
	if err == nil {
		m.members[c] = struct{}{}
	}
	return c, err
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
		_ = c.Write(ctx, typ, message) // the member's reader sees the error and returns
	}
}
