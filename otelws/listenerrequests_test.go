package otelws_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	gorilla "github.com/gorilla/websocket"
)

// ordinary is a request that opens no WebSocket, and the statuses of its responses.
type ordinary struct {
	method, head, body string
	statuses           []int
}

// forged is a body that looks like a handshake followed by its response.
var forged = string(handshakeRequest()) + "\r\n" + switchingHead

// ordinaries are requests that browsers, tools and proxies send.
var ordinaries = []ordinary{
	{"GET", "GET /small HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{200}},
	{"HEAD", "HEAD /small HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{200}},
	{"GET", "GET /304 HTTP/1.1\r\nHost: test\r\nIf-None-Match: \"x\"\r\n\r\n", "", []int{304}},
	{"GET", "GET /204 HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{204}},
	{"GET", "GET /404 HTTP/1.1\r\nHost: test\r\nUpgrade-Insecure-Requests: 1\r\n\r\n", "", []int{404}},
	{"GET", "GET /500 HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n", "", []int{500}},
	{"GET", "GET /hints HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{103, 200}},
	{"GET", "GET /chunks HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{200}},
	{"GET", "GET /forged HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{200}},
	{"GET", "GET /small HTTP/1.1\r\nHost: test\r\nContent-Length: " + fmt.Sprint(len(forged)) + "\r\n\r\n", forged, []int{200}},
	{"POST", "POST /small HTTP/1.1\r\nHost: test\r\nContent-Length: " + fmt.Sprint(len(forged)) + "\r\n\r\n", forged, []int{200}},
	{"POST", "POST /500 HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: " + fmt.Sprint(len(forged)) + "\r\n\r\n", forged, []int{100, 500}},
	{"PUT", "PUT /small HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n",
		fmt.Sprintf("%x\r\n%s\r\n5;ext=1\r\nGET /\r\n0\r\nX-Sum: 1\r\n\r\n", len(forged), forged), []int{200}},
	{"DELETE", "DELETE /204 HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{204}},
	{"OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n", "", []int{200}},
	{"GET", "GET /small HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", "", []int{200}},
	{"GET", "GET /small HTTP/1.1\r\nHost: test\r\nCookie: " + strings.Repeat("upgrade: websocket; ", 300) + "\r\n\r\n", "", []int{200}},
}

// answering answers the ordinaries in every form that servers use, and passes
// handshakes to next.
func answering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		switch r.URL.Path {
		case "/":
			next.ServeHTTP(w, r)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/404":
			http.NotFound(w, r)
		case "/500":
			http.Error(w, strings.Repeat("no ", 3000), http.StatusInternalServerError)
		case "/hints":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "hello")
		case "/chunks":
			for range 5 {
				_, _ = w.Write(bytes.Repeat([]byte("hello "), 3000))
				w.(http.Flusher).Flush()
			}
		case "/forged": // the second copy comes in a Write of its own
			w.Header().Set("Content-Length", fmt.Sprint(2*len(forged)))
			_, _ = io.WriteString(w, forged)
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, forged)
		default:
			_, _ = io.WriteString(w, "hello")
		}
	})
}

// takes checks the responses to a request.
func (w *wire) takes(o ordinary, statuses []int) {
	w.t.Helper()
	for _, status := range statuses {
		resp, err := http.ReadResponse(w.br, &http.Request{Method: o.method})
		if err != nil || resp.StatusCode != status {
			w.t.Fatalf("the answer to %.30q is %v, %v; want status %d", o.head, resp, err, status)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			w.t.Fatal(err)
		}
	}
}

// Ordinary requests before a handshake are not counted, in whatever pieces they come
// and however they are answered. The handshake counts once.
func TestListenerRequestSeeds(t *testing.T) {
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 14))
		ws, m := newInstrumentation(t)
		s := startServer(t, nil, answering(gorillaEcho(&gorilla.Upgrader{})), listening(ws))
		w := connectWire(t, s)
		for range 1 + rnd.IntN(6) {
			switch o := ordinaries[rnd.IntN(len(ordinaries))]; {
			case o.statuses[0] == http.StatusContinue:
				w.inPieces(rnd, []byte(o.head))
				w.takes(o, o.statuses[:1])
				w.inPieces(rnd, []byte(o.body))
				w.takes(o, o.statuses[1:])
			case o.body == "" && rnd.IntN(3) == 0: // pipelined requests, all answered before the handshake
				n := 2 + rnd.IntN(3)
				w.inPieces(rnd, []byte(strings.Repeat(o.head, n)))
				for range n {
					w.takes(o, o.statuses)
				}
			default:
				w.inPieces(rnd, []byte(o.head+o.body))
				w.takes(o, o.statuses)
			}
		}
		w.inPieces(rnd, handshakeRequest())
		w.answered(http.StatusSwitchingProtocols)
		exchange(w)
		w.rest()
		_ = w.Close()
		s.wait(t)
		expect(t, m, exchanged)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
