package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// roomKinds are the kinds of the room's messages: JSON objects with a type. The room
// accepts all messages, and counts those without a declared type as other or none.
var roomKinds = []string{"chat", "typing"}

// memberQueue is the number of messages that a member may lag behind.
const memberQueue = 32

// room is a handler that sends every message to all its members, including the sender.
//
// Nobody waits for a slow reader. When the queue of a member is full, the room closes its connection
// with the code 1013 (try again later). If the member reads nothing at all, the room cuts the
// connection after writeTimeout.
type room struct {
	ws  *otelws.Instrumentation
	cut *cutter

	mu      sync.Mutex
	members map[*member]struct{}
}

type member struct {
	queue chan message // closed when the member leaves
	slow  bool         // set before queue is closed
}

type message struct {
	typ     websocket.MessageType
	payload []byte
}

func newRoom(ws *otelws.Instrumentation, cut *cutter) *room {
	return &room{ws: ws, cut: cut, members: make(map[*member]struct{})}
}

func (rm *room) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := rm.ws.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	var writer sync.WaitGroup
	defer writer.Wait()
	defer c.CloseNow()
	defer rm.cut.watch(r, c)()
	m := rm.join()
	defer rm.leave(m)
	writer.Go(func() { m.write(c) })
	for {
		typ, payload, err := c.Read(r.Context())
		if err != nil {
			return
		}
		rm.broadcast(message{typ, payload})
	}
}

func (rm *room) join() *member {
	m := &member{queue: make(chan message, memberQueue)}
	rm.mu.Lock()
	defer rm.mu.Unlock()
	rm.members[m] = struct{}{}
	return m
}

func (rm *room) leave(m *member) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	rm.remove(m)
}

func (rm *room) remove(m *member) {
	if _, ok := rm.members[m]; ok {
		delete(rm.members, m)
		close(m.queue)
	}
}

func (rm *room) broadcast(msg message) {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	for m := range rm.members {
		select {
		case m.queue <- msg:
		default:
			m.slow = true
			m.discard()
			rm.remove(m)
		}
	}
}

// discard empties the queue. The member's writer may read from it at the same time.
func (m *member) discard() {
	for {
		select {
		case <-m.queue:
		default:
			return
		}
	}
}

// write sends the member its messages until it leaves.
func (m *member) write(c *websocket.Conn) {
	for msg := range m.queue {
		if err := writeMessage(c, msg); err != nil {
			_ = c.CloseNow()
			return
		}
	}
	if m.slow {
		_ = c.Close(websocket.StatusTryAgainLater, "too slow for this room")
	}
}

func writeMessage(c *websocket.Conn, msg message) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return c.Write(ctx, msg.typ, msg.payload)
}
