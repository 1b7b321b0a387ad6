package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// simulation simulates clients of the demo's server. A client makes visits of different kinds, one
// after the other.
//
// The clients do not use otelws.Transport, because the scrape would then show every message twice:
// real clients are usually in other processes.
type simulation struct {
	clients   int
	url       string
	pace      time.Duration // the unit of all times
	heartbeat time.Duration // the server's
	logger    *slog.Logger

	ctx    context.Context // for the connections, which live longer than run
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newSimulation(clients int, url string, pace, heartbeat time.Duration, logger *slog.Logger) *simulation {
	s := &simulation{clients: clients, url: url, pace: pace, heartbeat: heartbeat, logger: logger}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// run makes clients visit until leaving is done. Then the connected clients wait for the server's
// close frame.
func (s *simulation) run(leaving context.Context) error {
	// All clients begin within some seconds.
	ramp := min(s.pace/20, 10*s.pace/time.Duration(s.clients))
	for i := range s.clients {
		s.wg.Go(func() {
			pause(leaving, ramp*time.Duration(i))
			for n := i; leaving.Err() == nil; n++ {
				v := visit{simulation: s, leaving: leaving}
				kind := visits[n%len(visits)]
				if err := kind.call(&v); err != nil {
					s.logger.Debug("simulated client", "visit", kind.name, "err", err)
				}
				pause(leaving, s.between(0.2, 1))
			}
		})
	}
	<-leaving.Done()
	return nil
}

// close drops the remaining connections.
func (s *simulation) close() {
	s.cancel()
	s.wg.Wait()
}

// between returns a random duration from low to high, in units of the pace.
func (s *simulation) between(low, high float64) time.Duration {
	return time.Duration((low + rand.Float64()*(high-low)) * float64(s.pace))
}

// visit is one connection of a client.
type visit struct {
	*simulation
	leaving context.Context
	path    string
	*websocket.Conn
	tcp *net.TCPConn
}

// enter opens the connection.
func (v *visit) enter(path string, header http.Header) error {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, address)
			v.tcp, _ = c.(*net.TCPConn)
			return c, err
		},
		DisableKeepAlives: true,
	}
	c, _, err := websocket.Dial(v.ctx, v.url+path, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
		HTTPHeader: header,
	})
	if err != nil {
		return err
	}
	c.SetReadLimit(-1)
	v.path, v.Conn = path, c
	return nil
}

// listen reads until the connection ends, and then closes the channel.
func (v *visit) listen() <-chan struct{} {
	over := make(chan struct{})
	v.wg.Go(func() {
		defer close(over)
		for {
			if _, _, err := v.Read(v.ctx); err != nil {
				return
			}
		}
	})
	return over
}

// text is the source of all messages: a message is a part of it.
var text = sync.OnceValue(func() []byte {
	b := make([]byte, echoLimit+1)
	for i := range b {
		b[i] = ' ' + byte(i%95)
	}
	return b
})

// fragment is the maximum frame size: longer messages have several frames.
const fragment = 64 << 10

// talk sends messages of up to limit bytes, most of them short. It returns after d, or when the
// server has ended the connection. When leaving is done, it waits until the server ends the
// connection.
func (v *visit) talk(over <-chan struct{}, d time.Duration, limit int, every time.Duration) {
	end := time.After(d)
	for n := 0; ; n++ {
		u := rand.Float64()
		if err := v.say(int(8 * math.Pow(float64(limit)/8, u*u))); err != nil {
			return
		}
		if n%8 == 7 {
			_ = v.Ping(v.ctx)
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(2*int64(every)) + 1)):
		case <-end:
			return
		case <-over:
			return
		case <-v.leaving.Done():
			<-over
			return
		}
	}
}

// roomMessage returns a message for the room of about size bytes. Most are chat
// messages, and some have a kind that the server does not declare.
func roomMessage(size int) []byte {
	kinds := append(roomKinds, roomKinds[0], "reaction")
	b := fmt.Appendf(nil, `{"type":%q,"text":"`, kinds[rand.IntN(len(kinds))])
	const end = `"}`
	for len(b)+len(end) < size {
		b = append(b, 'x')
	}
	return append(b, end...)
}

func (v *visit) say(size int) error {
	typ := websocket.MessageText
	if rand.N(4) == 0 {
		typ = websocket.MessageBinary
	}
	body := text()[:size]
	if v.path == "/room" && typ == websocket.MessageText {
		body = roomMessage(size)
	}
	if size <= fragment {
		return v.Write(v.ctx, typ, body)
	}
	w, err := v.Writer(v.ctx, typ)
	if err != nil {
		return err
	}
	for rest := body; len(rest) > 0; {
		n := min(len(rest), fragment)
		if _, err := w.Write(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return w.Close()
}
