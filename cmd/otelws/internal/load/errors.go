package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// Error is a kind of error, with the number of times that it happened.
type Error struct {
	Kind    string `json:"kind"`
	Count   int64  `json:"count"`
	Example string `json:"example,omitempty"` // text of the first one
	first   error
}

// errorCounts counts errors by their kinds. There are few kinds, because a kind contains no text of a
// peer.
type errorCounts struct {
	mu     sync.Mutex
	byKind map[string]*Error
}

func (t *errorCounts) add(kind string, err error, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKind == nil {
		t.byKind = map[string]*Error{}
	}
	e := t.byKind[kind]
	if e == nil {
		e = &Error{Kind: kind, first: err}
		if err != nil {
			e.Example = dial.OneLine(err.Error())
		}
		t.byKind[kind] = e
	}
	e.Count += n
}

func (t *errorCounts) sorted() []Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Error, 0, len(t.byKind))
	for _, e := range t.byKind {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b Error) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Kind, b.Kind))
	})
	return all
}

func (t *errorCounts) count() (n int64) {
	for _, e := range t.sorted() {
		n += e.Count
	}
	return n
}

// connectionKind returns the kind of an error on an open connection.
func connectionKind(err error) string {
	if code := websocket.CloseStatus(err); code != -1 {
		return "closed by the server with " + foldCode(code)
	}
	return "connection: " + dial.Network(err)
}

// foldCode limits the number of close codes, like the server's metrics.
func foldCode(code websocket.StatusCode) string {
	switch {
	case code >= 1000 && code <= 1014:
		return fmt.Sprint(int(code))
	case code >= 3000 && code < 4000:
		return "3xxx"
	case code >= 4000 && code < 5000:
		return "4xxx"
	}
	return "other"
}
