package otelws

import (
	"bytes"
	"cmp"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DebugHandler returns a handler that shows the open connections, and the last 256 that ended. A
// browser gets a page; other clients, or format=json in the query, get JSON. Serve it on the
// listener of the metrics, never to the public, because it shows how the service is used. With an
// Exporter of package exporter, this takes one line, before its ListenAndServe:
//
//	err := exp.AddPage("/debug/ws", "WebSockets", ws.DebugHandler(exporter.MayIdentify))
//
// On a server of your own, serve it at the path /debug/ws, because otelws top asks for that path.
//
// Addresses of clients are shown only to requests for which showAddresses returns true. With nil,
// they are never shown. For the listener of package exporter, pass exporter.MayIdentify.
//
// These parameters of the query select connections:
//
//   - sort is received, sent, idle, age, rtt, unsent or writing. The connections with the highest
//     values are shown. The default is received. unsent asks the kernel about each connection.
//   - n is the maximum number of connections. The default is 50, the maximum 1000.
//   - role is server or client.
//   - filter is a substring of an address, a subprotocol, a trace ID or an attribute's value. It
//     may also be name=value, where name is an attribute, id, state, subprotocol or trace.
//     state=peer_gone selects the open connections whose peer has left, as far as the kernel knows.
//     It asks the kernel about each connection.
//
// The handler makes one response at a time; further requests wait. With 100,000 connections, a
// response takes tens of milliseconds. It does not block traffic.
func (i *Instrumentation) DebugHandler(showAddresses func(*http.Request) bool) http.Handler {
	return &debugHandler{in: i, showAddresses: showAddresses, turn: make(chan struct{}, 1)}
}

type debugHandler struct {
	in            *Instrumentation
	showAddresses func(*http.Request) bool
	turn          chan struct{}
}

//go:embed debug.html
var debugPage string

func (h *debugHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept")
	if wantsPage(r) {
		nonce := rand.Text()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", fmt.Sprintf(
			"default-src 'none'; script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", nonce))
		_, _ = strings.NewReplacer("{{nonce}}", nonce).WriteString(w, debugPage)
		return
	}
	q, err := parseDebugQuery(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q.addresses = h.showAddresses != nil && h.showAddresses(r)
	select {
	case h.turn <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	var body bytes.Buffer
	err = func() error {
		defer func() { <-h.turn }()
		return json.NewEncoder(&body).Encode(h.in.debug(q))
	}()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header.Set("Content-Type", "application/json")
	_, _ = body.WriteTo(w)
}

func wantsPage(r *http.Request) bool {
	switch r.URL.Query().Get("format") {
	case "html":
		return true
	case "":
		return strings.Contains(r.Header.Get("Accept"), "text/html")
	}
	return false
}

// debugQuery holds the parameters of a request.
type debugQuery struct {
	sort      string
	n         int
	role      string
	filter    filter
	addresses bool
}

const maxDebugRows = 1000

// sortKeys are the keys for sorting, in descending order.
var sortKeys = map[string]func(*Connection) int64{
	"received": func(c *Connection) int64 { return c.BytesReceived },
	"sent":     func(c *Connection) int64 { return c.BytesSent },
	"idle":     func(c *Connection) int64 { return int64(c.Idle) },
	"age":      func(c *Connection) int64 { return -c.Opened.UnixNano() }, // Age grows during a look
	"rtt":      func(c *Connection) int64 { return int64(c.RTT) },
	"writing":  func(c *Connection) int64 { return int64(c.Writing) },
	"unsent": func(c *Connection) int64 {
		t, _ := c.TCP()
		return int64(t.Unsent)
	},
}

func parseDebugQuery(v url.Values) (q debugQuery, err error) {
	q.sort, q.role = cmp.Or(v.Get("sort"), "received"), v.Get("role")
	q.n, err = strconv.Atoi(cmp.Or(v.Get("n"), "50"))
	switch {
	case sortKeys[q.sort] == nil:
		return q, fmt.Errorf("sort=%.40q: use received, sent, idle, age, rtt, unsent or writing", q.sort)
	case err != nil || q.n < 1 || q.n > maxDebugRows:
		return q, fmt.Errorf("n=%.40q: use a number from 1 to %d", v.Get("n"), maxDebugRows)
	case q.role != "" && q.role != "server" && q.role != "client":
		return q, fmt.Errorf("role=%.40q: use server or client", q.role)
	}
	switch format := v.Get("format"); format {
	case "", "json":
	default:
		return q, fmt.Errorf("format=%.40q: use json or html", format)
	}
	q.filter = newFilter(v.Get("filter"))
	return q, nil
}

func (q *debugQuery) matches(c *Connection) bool {
	return (q.role == "" || q.role == roleName(c)) && q.filter.matches(c, q.addresses)
}

// filter is a substring, or name=value.
type filter struct{ text, name, value string }

func newFilter(text string) filter {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return filter{text: text}
	}
	return filter{name: name, value: value}
}

// matches ignores addresses that are not shown, because the filter could otherwise be used to guess
// them.
func (f *filter) matches(c *Connection, addresses bool) bool {
	switch {
	case f.text == "" && f.name == "":
		return true
	case f.name == "":
		return f.inText(c, addresses)
	}
	switch f.name {
	case "id":
		return strconv.FormatUint(c.ID, 10) == f.value
	case "state":
		if f.value == statePeerGone {
			return peerGone(c)
		}
		return c.State.String() == f.value
	case "subprotocol":
		return c.Subprotocol == f.value
	case "trace":
		return c.TraceID.IsValid() && c.TraceID.String() == f.value
	}
	for _, a := range c.attrs {
		if string(a.Key) == f.name || label(a.Key) == f.name {
			return a.Value.AsString() == f.value
		}
	}
	return false
}

func (f *filter) inText(c *Connection, addresses bool) bool {
	if addresses && c.RemoteAddr != nil && strings.Contains(c.RemoteAddr.String(), f.text) {
		return true
	}
	if strings.Contains(c.Subprotocol, f.text) || c.TraceID.IsValid() && strings.Contains(c.TraceID.String(), f.text) {
		return true
	}
	for _, a := range c.attrs {
		if strings.Contains(a.Value.AsString(), f.text) {
			return true
		}
	}
	return false
}

// debug returns the answer to q.
func (i *Instrumentation) debug(q debugQuery) *debugResponse {
	r := &debugResponse{Time: time.Now(), Addresses: q.addresses, Connections: []debugRow{}, Closed: []debugClosed{}}
	r.Sums.Connections = make(map[string]int64)
	most := greatest{n: q.n}
	key := sortKeys[q.sort]
	var c Connection // outside the loop, so that it is allocated once
	for c = range i.Connections() {
		r.Total++
		if !q.matches(&c) {
			continue
		}
		r.Matching++
		r.Sums.add(&c)
		most.add(key(&c), &c)
	}
	for _, c := range most.sorted() {
		r.Connections = append(r.Connections, newDebugRow(&c.Connection, q.addresses))
	}
	for _, c := range i.Ended() {
		if len(r.Closed) < q.n && q.matches(&c.Connection) {
			r.Closed = append(r.Closed, newDebugClosed(&c, q.addresses))
		}
	}
	return r
}

// greatest keeps the n connections with the greatest keys. It sorts when it has twice as many.
type greatest struct {
	n     int
	all   []keyed
	full  bool // all has n connections with keys of at least least
	least int64
}

type keyed struct {
	Connection
	key int64
}

func (g *greatest) add(key int64, c *Connection) {
	if g.full && key <= g.least {
		return
	}
	g.all = append(g.all, keyed{*c, key})
	if len(g.all) == 2*g.n {
		g.sorted()
	}
}

// sorted returns the connections in descending order.
func (g *greatest) sorted() []keyed {
	slices.SortFunc(g.all, func(a, b keyed) int { return cmp.Or(cmp.Compare(b.key, a.key), cmp.Compare(a.ID, b.ID)) })
	if len(g.all) >= g.n {
		clear(g.all[g.n:])
		g.all = g.all[:g.n]
		g.full, g.least = true, g.all[g.n-1].key
	}
	return g.all
}
