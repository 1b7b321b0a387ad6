package main

import (
	"net/http"
	"sync/atomic"
)

// lateHandler is a handler whose content is set after its server has started. Until then, it answers
// 503.
type lateHandler struct{ handler atomic.Pointer[http.Handler] }

func (l *lateHandler) set(h http.Handler) { l.handler.Store(&h) }

func (l *lateHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := l.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	http.Error(w, "Not ready: the server is starting", http.StatusServiceUnavailable)
}
