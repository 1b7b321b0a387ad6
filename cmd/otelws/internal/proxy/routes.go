package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Routes are path patterns in the syntax of http.ServeMux. They become the route in
// the metrics. They do not decide where requests go.
type Routes struct {
	patterns []string
	mux      *http.ServeMux
}

// NewRoutes returns the routes for patterns such as /chat/{room}. An error describes
// the first invalid pattern in one line.
func NewRoutes(patterns ...string) (*Routes, error) {
	r := &Routes{patterns: patterns, mux: http.NewServeMux()}
	for i, pattern := range patterns {
		if !strings.HasPrefix(pattern, "/") {
			return nil, fmt.Errorf("route %q: use a path pattern such as /chat/{room}, without a method or a host", pattern)
		}
		if err := register(http.NewServeMux(), pattern); err != nil {
			return nil, fmt.Errorf("route %w", err)
		}
		for _, before := range patterns[:i] {
			pair := http.NewServeMux()
			_ = register(pair, before)
			if register(pair, pattern) != nil {
				return nil, fmt.Errorf("route %q conflicts with %q: a path can match both, and neither pattern is more specific", pattern, before)
			}
		}
		if err := register(r.mux, pattern); err != nil {
			return nil, fmt.Errorf("route %w", err)
		}
	}
	return r, nil
}

// register adds a pattern. It returns the mux's panic as an error.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			text := strings.TrimPrefix(fmt.Sprint(r), "parsing ")
			err = errors.New(strings.Join(strings.Fields(text), " "))
		}
	}()
	mux.Handle(pattern, route{})
	return nil
}

type route struct{}

func (route) ServeHTTP(http.ResponseWriter, *http.Request) {}

// match returns the pattern that r matches, or "".
func (rs *Routes) match(r *http.Request) string {
	h, pattern := rs.mux.Handler(r)
	if _, ok := h.(route); !ok { // the mux would redirect, which is the backend's decision
		return ""
	}
	return pattern
}
