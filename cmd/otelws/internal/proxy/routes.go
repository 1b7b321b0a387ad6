package proxy

import (
	"fmt"
	"net/http"
	"strings"
)

// Routes are path patterns as http.ServeMux takes them. They say how
// connections are counted, not where requests go.
type Routes struct {
	patterns []string
	mux      *http.ServeMux
}

// NewRoutes returns the routes of patterns such as /chat/{room}, or an error
// in one line about the first that is not one.
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
				return nil, fmt.Errorf("route %q conflicts with %q: neither is the more specific one", pattern, before)
			}
		}
		if err := register(r.mux, pattern); err != nil {
			return nil, fmt.Errorf("route %w", err)
		}
	}
	return r, nil
}

// register turns the mux's panic into an error.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			text := strings.TrimPrefix(fmt.Sprint(r), "parsing ")
			err = fmt.Errorf("%s", strings.Join(strings.Fields(text), " "))
		}
	}()
	mux.Handle(pattern, route{})
	return nil
}

type route struct{}

func (route) ServeHTTP(http.ResponseWriter, *http.Request) {}

// match returns the pattern that r matches, or nothing.
func (rs *Routes) match(r *http.Request) string {
	h, pattern := rs.mux.Handler(r)
	if _, ok := h.(route); !ok { // a redirect, which is not ours to make
		return ""
	}
	return pattern
}
