package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// misbehave is a backend that misbehaves as the request's path says.
func misbehave(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	up := switching + "Connection: Upgrade\r\nUpgrade: websocket\r\n" + accept + "\r\n"
	say := func(s string) { _, _ = io.WriteString(c, s) }
	hold := func() { _, _ = io.Copy(io.Discard, c) }
	reset := func() { _ = c.(*countedConn).Conn.(*net.TCPConn).SetLinger(0) }
	switch r.URL.Path {
	case "/empty":
	case "/reset":
		reset()
	case "/hang":
		hold()
	case "/half-head":
		say("HTTP/1.1 101 Swit")
		hold()
	case "/garbage":
		say("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
	case "/no-101":
		say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
	case "/wrong-key":
		say(strings.Replace(up, "s3pPLM", "AAAAAA", 1))
		hold()
	case "/bad-chunk":
		say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	case "/short-body":
		say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
	case "/reset-after-101":
		say(up)
		reset()
	case "/half-frame":
		say(up + "\x82\x7e\x10\x00abc")
	case "/close-frame":
		say(up + "\x88\x02\x03\xe8")
	case "/flood":
		say(up)
		for err == nil {
			_, err = c.Write(appendFrame(fin|opBinary, nil, make([]byte, 100<<10)))
		}
	case "/hold":
		say(up)
		hold()
	}
}

var misbehaviours = []string{"/empty", "/reset", "/hang", "/half-head", "/garbage", "/no-101", "/wrong-key", "/bad-chunk", "/short-body",
	"/reset-after-101", "/half-frame", "/close-frame", "/flood", "/hold", "/else"}

// rudeness is the list of ways in which a client misbehaves.
var rudeness = []func(*net.TCPConn, string){
	func(c *net.TCPConn, path string) { // correct
		_, _ = io.WriteString(c, handshake(path))
		_, _ = bufio.NewReader(c).ReadString('\n')
	},
	func(c *net.TCPConn, path string) { _, _ = io.WriteString(c, handshake(path)) }, // leaves after the handshake
	func(c *net.TCPConn, path string) { // resets
		_, _ = io.WriteString(c, handshake(path))
		_ = c.SetLinger(0)
	},
	func(c *net.TCPConn, path string) { _, _ = io.WriteString(c, handshake(path)[:30]) }, // leaves in the middle of the head
	func(c *net.TCPConn, path string) { // invalid frames
		_, _ = io.WriteString(c, handshake(path)+strings.Repeat("\xff", 1000))
		_, _ = bufio.NewReader(c).ReadString('\n')
	},
	func(c *net.TCPConn, path string) { // an endless body
		_, _ = io.WriteString(c, handshake(path, "Transfer-Encoding: chunked")+strings.Repeat("1\r\na\r\n", 1000))
		_, _ = bufio.NewReader(c).ReadString('\n')
	},
	func(c *net.TCPConn, path string) { // a truncated body
		_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
		_, _ = bufio.NewReader(c).ReadString('\n')
	},
}

// After five thousand failures of clients and backends in every combination, no
// connection and no goroutine is left.
func TestMixedFailures(t *testing.T) {
	const failures, clients = 5000, 40
	address, held := rawBackend(t, misbehave)
	open, goroutines := descriptors(t), runtime.NumGoroutine()
	g := startProxy(t, proxy.Config{Backend: "http://" + address, ResponseTimeout: 100 * time.Millisecond, DrainTimeout: waitLimit})
	g.SetLinger(20 * time.Millisecond)

	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := i; n < failures; n += clients {
				c, err := net.Dial("tcp", g.address)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(waitLimit))
				rudeness[n%len(rudeness)](c.(*net.TCPConn), misbehaviours[n/len(rudeness)%len(misbehaviours)])
				c.Close()
			}
		})
	}
	all.Wait()
	g.idle(t)
	g.stop() // closes the idle connections
	eventually(t, "the backend's connections to end", func() bool { return held.held() == 0 })
	eventually(t, "goroutines to be as few as before", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors to be as few as before", func() bool { return descriptors(t) <= open })
}

// attackVar names a variable with the duration of TestHandshakeWithBody. By default
// it is short.
const attackVar = "OTELWS_ATTACK"

// A handshake with an endless body costs that client its connection, and does not
// affect other clients.
func TestHandshakeWithBody(t *testing.T) {
	long := 300 * time.Millisecond
	if s := os.Getenv(attackVar); s != "" {
		var err error
		long, err = time.ParseDuration(s)
		check(t, err)
	}
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	bystander := openWire(t, g.address, "/")
	_ = bystander.SetDeadline(time.Time{})
	attack := handshake("/", "Transfer-Encoding: chunked") + strings.Repeat("1\r\na\r\n", 20_000)
	end := time.Now().Add(long)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for time.Now().Before(end) {
				c, err := net.Dial("tcp", g.address)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(waitLimit))
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					_, _ = io.WriteString(c, attack)
				}()
				if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && !strings.HasPrefix(line, "HTTP/1.1 400 ") {
					t.Errorf("the attacker hears %q", line)
				}
				c.Close()
				<-sent
			}
		})
	}
	all.Wait()
	bystander.send(t, frame(fin|opText, "hello"))
	bystander.want(t, fin|opText, "hello")
	if n := g.sum("ws_connections_opened_total"); n != 1 {
		t.Errorf("%v connections were opened", n)
	}
}
