package main

import (
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// maxCutForm is the size of a request that names all the connections that a
// page may have.
const maxCutForm = 16 << 10

// cutter ends connections without a close frame, for clients that cannot: a
// browser sends one whatever its page does. To the server that is a 1006 of the
// initiator local.
type cutter struct {
	mu    sync.Mutex
	conns map[string]*websocket.Conn // by the id that the client gave
}

func newCutter() *cutter { return &cutter{conns: make(map[string]*websocket.Conn)} }

// watch has c be known by the id in the query of r, if there is one, until the
// function that it returns is called. An id that is taken stays with its owner.
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

// vanisher returns a handler that has a client of s come, be answered, and
// vanish without a close frame. To the server that is a 1006 of the initiator
// peer.
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
