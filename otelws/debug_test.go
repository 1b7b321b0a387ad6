package otelws_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestDebugQuery(t *testing.T) {
	ws, _ := newInstrumentation(t, otelws.WithEnum("plan.name", tier, "a", "b"))
	all := openInMemory(t, ws, 300)
	talk(t, all, func(i int) int { return i })
	shown, hidden := ws.DebugHandler(always), ws.DebugHandler(nil)
	for _, tt := range []struct {
		query           string
		h               http.Handler
		matching, shown int
		first           uint64
	}{
		{"", shown, 300, 50, 300},
		{"?sort=received&n=7", shown, 300, 7, 300},
		{"?sort=sent&n=1", shown, 300, 1, 300},
		{"?sort=age&n=1000", shown, 300, 300, 1},
		{"?sort=rtt", shown, 300, 50, 1}, // no connection has a round trip, so age decides
		{"?sort=unsent", shown, 300, 50, 1},
		{"?sort=writing", shown, 300, 50, 1},
		{"?role=server", shown, 300, 50, 300},
		{"?role=client", shown, 0, 0, 0},
		{"?filter=10.0.1.", shown, 44, 44, 300},
		{"?filter=10.0.1.", hidden, 0, 0, 0}, // a filter must not let a reader guess addresses
		{"?filter=other", hidden, 300, 50, 300},
		{"?filter=plan.name=other", hidden, 300, 50, 300},
		{"?filter=plan_name=other", hidden, 300, 50, 300},
		{"?filter=plan.name=oth", hidden, 0, 0, 0},
		{"?filter=id=7", hidden, 1, 1, 7},
		{"?filter=state=open", hidden, 300, 50, 300},
		{"?filter=nothing=x", hidden, 0, 0, 0},
		{"?filter==other", hidden, 0, 0, 0}, // a text that no connection has
	} {
		a := debug(t, tt.h, tt.query)
		if a.Total != 300 || a.Matching != tt.matching || len(a.Connections) != tt.shown || tt.shown > 0 && a.Connections[0].ID != tt.first {
			t.Errorf("%s: %d of %d connections match and %d are shown, the first of them %+v", tt.query, a.Matching, a.Total, len(a.Connections), a.Connections[:min(1, len(a.Connections))])
		}
		if addresses := tt.h == shown; a.Addresses != addresses || len(a.Connections) > 0 && (a.Connections[0].Remote != "") != addresses {
			t.Errorf("%s: Addresses is %v, and the first remote address is %q", tt.query, a.Addresses, a.Connections[0].Remote)
		}
	}
	if got := debug(t, shown, "?n=1").Connections[0].Attributes["plan.name"]; got != "other" {
		t.Errorf("the attribute plan.name is %q", got)
	}
	for _, c := range all {
		_ = c.Close()
	}
	for h, want := range map[http.Handler]string{shown: "10.0.1.43:40000", hidden: ""} {
		if c := debug(t, h, "?n=3").Closed; len(c) != 3 || c[0].ID != 300 || c[2].ID != 298 || c[0].Remote != want {
			t.Errorf("the newest closed connections are %+v", c)
		}
	}
}

// The subprotocol and the trace of a connection are shown, and filters find them.
func TestDebugFindsSubprotocolAndTrace(t *testing.T) {
	tr := newTraced(t, sdktrace.AlwaysSample())
	chat := []string{"chat"}
	otelwstest.Pair(t, tr.Instrumentation, &websocket.AcceptOptions{Subprotocols: chat}, &websocket.DialOptions{Subprotocols: chat})
	otelwstest.Pair(t, tr.Instrumentation, nil, nil)
	h := tr.DebugHandler(nil)
	all := debug(t, h, "?filter=chat").Connections
	if len(all) != 2 || all[0].Subprotocol != "chat" || len(all[0].TraceID) != 32 || all[1].TraceID != all[0].TraceID {
		t.Fatalf("the connections with the subprotocol are %+v", all)
	}
	trace := all[0].TraceID
	for filter, want := range map[string]int{
		"subprotocol=chat": 2, "subprotocol=cha": 0, "subprotocol=": 2,
		"trace=" + trace: 2, "trace=" + trace[:31]: 0, trace[:16]: 2,
	} {
		if got := debug(t, h, "?filter="+filter).Matching; got != want {
			t.Errorf("%d connections match the filter %s, want %d", got, filter, want)
		}
	}
	untraced, _ := newInstrumentation(t)
	alone := openInMemory(t, untraced, 1)
	none := strings.Repeat("0", 32)
	for _, filter := range []string{none, "trace=" + none} {
		if got := debug(t, untraced.DebugHandler(nil), "?filter="+filter).Matching; got != 0 {
			t.Errorf("a connection without a trace matches the filter %s", filter)
		}
	}
	runtime.KeepAlive(alone)
}

// A connection may have no address.
func TestDebugWithoutAddress(t *testing.T) {
	ws, _ := newInstrumentation(t)
	near, far := net.Pipe()
	defer far.Close()
	c, err := ws.Accept(pipeWriter{httptest.NewRecorder(), unready{c: near}}, upgrade(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if a := debug(t, ws.DebugHandler(always), "?filter=10.0"); a.Total != 1 || a.Matching != 0 {
		t.Errorf("%d of %d connections match", a.Matching, a.Total)
	}
	if a := debug(t, ws.DebugHandler(always), ""); len(a.Connections) != 1 || a.Connections[0].Remote != "" {
		t.Errorf("the connections are %+v", a.Connections)
	}
}

func TestDebugRefuses(t *testing.T) {
	ws, _ := newInstrumentation(t)
	for query, want := range map[string]string{
		"?sort=size":   "received, sent, idle, age, rtt, unsent or writing",
		"?n=0":         "from 1 to 1000",
		"?n=1001":      "from 1 to 1000",
		"?n=many":      "from 1 to 1000",
		"?role=both":   "server or client",
		"?format=yaml": "json or html",
	} {
		w := httptest.NewRecorder()
		ws.DebugHandler(nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/ws"+query, nil))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("the response to %s is %d %s", query, w.Code, w.Body)
		}
	}
}

// A browser gets the page. Its policy allows the page's own script and style, and no
// others.
func TestDebugPage(t *testing.T) {
	ws, _ := newInstrumentation(t)
	get := func(query, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/debug/ws"+query, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		ws.DebugHandler(nil).ServeHTTP(w, r)
		return w
	}
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	first, second := get("", browser), get("?format=html&sort=idle", "*/*")
	for _, w := range []*httptest.ResponseRecorder{first, second} {
		_, nonce, _ := strings.Cut(w.Header().Get("Content-Security-Policy"), "'nonce-")
		nonce, _, _ = strings.Cut(nonce, "'")
		if len(nonce) < 16 || strings.Count(w.Body.String(), `nonce="`+nonce+`"`) != 2 || strings.Contains(w.Body.String(), "{{") {
			t.Errorf("the page has the header %s and the body %s", w.Header(), w.Body)
		}
	}
	if first.Header().Get("Content-Security-Policy") == second.Header().Get("Content-Security-Policy") {
		t.Error("two pages have the same nonce")
	}
	if w := get("?format=json", browser); w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("?format=json: got the header %s", w.Header())
	}
	if w := get("", "*/*"); w.Header().Get("Content-Type") != "application/json" || strings.Contains(w.Body.String(), "null") {
		t.Errorf("to curl: got the header %s and the body %s", w.Header(), w.Body)
	}
}

// The kernel tells how many bytes a peer that does not read leaves unsent.
func TestDebugUnsent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the figures of a socket")
	}
	ws, _ := newInstrumentation(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for c.Write(ctx, websocket.MessageBinary, make([]byte, 1<<20)) == nil {
		}
	})))
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	eventually(t, "DebugHandler shows the unsent bytes", func() bool {
		for c := range ws.Connections() {
			if tcp, ok := c.TCP(); ok && tcp.Unsent > 0 && tcp.RTT > 0 && c.Writing > 0 {
				return true
			}
		}
		return false
	})
}

// If a handler does not read, it does not learn that its client has left, and the
// connection stays open. The kernel knows that the client has left.
func TestDebugPeerGone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the figures of a socket")
	}
	ws, _ := newInstrumentation(t)
	done := make(chan struct{})
	defer close(done)
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		<-done // do not read
	})))
	var clients []*websocket.Conn
	for range 3 {
		c, _, err := websocket.Dial(context.Background(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		clients = append(clients, c)
	}
	_ = clients[1].CloseNow()
	h := ws.DebugHandler(nil)
	eventually(t, "DebugHandler finds the client that has left", func() bool {
		states := make(map[string]int)
		for _, c := range debug(t, h, "").Connections {
			states[c.State]++
		}
		return states["open"] == 2 && states["peer_gone"] == 1
	})
	if n := debug(t, h, "?filter=state=peer_gone").Matching; n != 1 {
		t.Errorf("%d connections match a client that has left", n)
	}
}
