package main

import (
	"net/http"
	"sync/atomic"
)

// lateHandler is a handler that is known after what serves it has been made.
// Until then it answers 503.
type lateHandler struct{ handler atomic.Value }

func (l *lateHandler) set(h http.Handler) { l.handler.Store(&h) }

func (l *lateHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := l.handler.Load().(*http.Handler); ok {
		(*h).ServeHTTP(w, r)
		return
	}
	http.Error(w, "Not ready: starting", http.StatusServiceUnavailable)
}
