package main

import (
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// maxCutForm is the maximum size of a request: enough for the names of all
// connections of a page.
const maxCutForm = 16 << 10

// cutter ends connections without a close frame. A browser cannot do that: it
// always sends a close frame. The server counts 1006 with the initiator local.
type cutter struct {
	mu    sync.Mutex
	conns map[string]*websocket.Conn // by the id that the client chose
}

func newCutter() *cutter { return &cutter{conns: make(map[string]*websocket.Conn)} }

// watch registers c under the id in the query of r, if there is one. The caller must
// call forget when the connection has ended. If the id is taken, watch does nothing.
func (cu *cutter) watch(r *http.Request, c *websocket.Conn) (forget func()) {
	id := r.URL.Query().Get("id")
	cu.mu.Lock()
	defer cu.mu.Unlock()
	if _, taken := cu.conns[id]; id == "" || taken {
		return func() {}
	}
	cu.conns[id] = c
	return func() {
		cu.mu.Lock()
		defer cu.mu.Unlock()
		delete(cu.conns, id)
	}
}

// ServeHTTP cuts the connections that the form names.
func (cu *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxCutForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, c := range cu.find(r.PostForm["id"]) {
		_ = c.CloseNow()
	}
	w.WriteHeader(http.StatusNoContent)
}

func (cu *cutter) find(ids []string) []*websocket.Conn {
	cu.mu.Lock()
	defer cu.mu.Unlock()
	var found []*websocket.Conn
	for _, id := range ids {
		if c, ok := cu.conns[id]; ok {
			found = append(found, c)
		}
	}
	return found
}

// vanisher returns a handler that makes a client of s connect, get one answer, and vanish without a
// close frame. The server counts 1006 with the initiator peer.
func vanisher(s *simulation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := visit{simulation: s, leaving: r.Context()}
		if err := vanish(&v); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func vanish(v *visit) error {
	if err := v.enter("/echo", nil); err != nil {
		return err
	}
	defer v.CloseNow()
	if err := v.say(fragment / 256); err != nil {
		return err
	}
	_, _, err := v.Read(v.ctx)
	return err
}
