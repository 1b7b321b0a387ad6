package main

import (
	"net/http"
	"sync/atomic"
)

// lateHandler is a handler whose content is set after its server has started. Until then, it answers
// 503.
type lateHandler struct{ handler atomic.Value }

func (r *lateHandler) set(h http.Handler) { r.handler.Store(&h) }

func (r *lateHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if h, ok := r.handler.Load().(*http.Handler); ok {
		(*h).ServeHTTP(w, req)
		return
	}
	http.Error(w, "Not ready: the server is starting", http.StatusServiceUnavailable)
}
