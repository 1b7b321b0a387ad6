package probe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

// lacking returns a problem if r has no note with the text.
func lacking(r *probe.Result, text string) []string {
	if strings.Contains(strings.Join(r.Notes, "\n"), text) {
		return nil
	}
	return []string{fmt.Sprintf("notes %q, want one with %q", r.Notes, text)}
}

// The result distinguishes the behaviour of a server from the limit of a hop.
func TestServers(t *testing.T) {
	t.Parallel()
	cfg := probe.Config{Max: 3 * time.Second, Every: 250 * time.Millisecond, Ladder: true}

	t.Run("ends who sends no message", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.URL = serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
			for {
				// Cancelling the context of Read would end the connection without a
				// close frame.
				late := time.AfterFunc(2*time.Second, func() { _ = c.Close(websocket.StatusPolicyViolation, "log in\r\x1b[2J") })
				typ, b, err := c.Read(ctx)
				late.Stop()
				if err != nil || c.Write(ctx, typ, b) != nil {
					return
				}
			}
		})
		eventually(t, cfg, func(r *probe.Result) []string {
			problems := compare(r, []want{{probe.OnSilence, 2, probe.Close, false, []probe.Kind{probe.Message}, []probe.Kind{probe.KeepAlive, probe.Pong, probe.Ping}}})
			if len(problems) > 0 {
				return problems
			}
			if l := r.Limits[0]; l.Code != 1008 || l.Reason != "log in  [2J" {
				problems = append(problems, fmt.Sprintf("by %d %q", l.Code, l.Reason))
			}
			if h := r.Heartbeat; h == nil || h.Of != probe.Message || h.Seconds != 1.5 || h.Otelws != "" {
				problems = append(problems, fmt.Sprintf("a heartbeat of %+v", h))
			}
			return problems
		})
	})
	t.Run("refuses the message", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.URL = serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
			if _, _, err := c.Read(ctx); err == nil {
				_ = c.Close(websocket.StatusUnsupportedData, "JSON, please")
			}
		})
		eventually(t, cfg, func(r *probe.Result) []string {
			return append(compare(r, nil), lacking(r, `with a close frame (1003 "JSON, please"). Give a message that it accepts by --message`)...)
		})
	})
	t.Run("answers with what is no frame", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer c.Close()
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					return
				}
				_, _ = c.NetConn().Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			}
		}))
		t.Cleanup(s.Close)
		cfg.URL = strings.TrimPrefix(s.URL, "http://")
		eventually(t, cfg, func(r *probe.Result) (problems []string) {
			for _, o := range r.Outcomes {
				if o.Kind == probe.Message && (o.End != probe.Other || o.Age < 0 || o.Age > 3 || o.Silence < 0 || o.Silence > 3 || o.Error == "") {
					problems = append(problems, fmt.Sprintf("%+v", o))
				}
			}
			return append(problems, compare(r, nil)...)
		})
	})
	t.Run("pings by itself", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.URL = serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
			ctx, cancel := context.WithCancel(ctx)
			var pinger sync.WaitGroup
			defer pinger.Wait()
			defer cancel()
			pinger.Go(func() {
				for tick := time.NewTicker(time.Second); ; {
					select {
					case <-tick.C:
						_ = c.Ping(ctx)
					case <-ctx.Done():
						tick.Stop()
						return
					}
				}
			})
			echo(ctx, c)
		})
		eventually(t, cfg, func(r *probe.Result) []string {
			problems := append(compare(r, nil), lacking(r, "The server itself sends data")...)
			if r.Outlived < .9 || r.Outlived > 1.5 {
				problems = append(problems, fmt.Sprintf("a silence of %v s was outlived", r.Outlived))
			}
			return problems
		})
	})
	t.Run("greets, and answers no ping", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.URL = serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			var c *websocket.Conn
			var greet sync.Once
			c, err := websocket.Accept(w, r, &websocket.AcceptOptions{OnPingReceived: func(ctx context.Context, _ []byte) bool {
				greet.Do(func() { _ = c.Write(ctx, websocket.MessageText, []byte("hello")) })
				return false
			}})
			if err != nil {
				return
			}
			defer c.CloseNow()
			echo(r.Context(), c)
		})
		eventually(t, cfg, func(r *probe.Result) []string {
			return append(compare(r, nil), lacking(r, "The server answers no pings")...)
		})
	})
	t.Run("answers no ping", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.URL = serve(t, &websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool { return false }}, echo)
		eventually(t, cfg, func(r *probe.Result) []string {
			return append(compare(r, nil), lacking(r, "The server answers no pings")...)
		})
	})
	t.Run("restarts", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		var mu sync.Mutex
		var all []*websocket.Conn
		restart := func() {
			mu.Lock()
			defer mu.Unlock()
			for _, c := range all {
				go c.CloseNow()
			}
			all = nil
		}
		cfg.URL = serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
			mu.Lock()
			if len(all) == 0 {
				time.AfterFunc(2500*time.Millisecond, restart)
			}
			all = append(all, c)
			mu.Unlock()
			echo(ctx, c)
		})
		eventually(t, cfg, func(r *probe.Result) []string {
			return append(compare(r, nil), lacking(r, "ended at the same moment")...)
		})
	})
	t.Run("closes all but three connections", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		var open atomic.Int64
		cfg.URL = serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
			defer open.Add(-1)
			if open.Add(1) > 3 {
				_ = c.Close(websocket.StatusTryAgainLater, "later")
				return
			}
			echo(ctx, c)
		})
		eventually(t, cfg, func(r *probe.Result) []string {
			problems := append(compare(r, nil), lacking(r, `connections at once, with a close frame (1013 "later")`)...)
			if r.Outlived < 2.9 || len(r.Notes) > 1 {
				problems = append(problems, fmt.Sprintf("a silence of %v s was outlived, notes %q", r.Outlived, r.Notes))
			}
			return problems
		})
	})
	t.Run("takes three connections", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		var open atomic.Int64
		cfg.URL = serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
			defer open.Add(-1)
			if open.Add(1) > 3 {
				http.Error(w, "later", http.StatusTooManyRequests)
				return
			}
			accept(w, r, nil, echo)
		})
		eventually(t, cfg, func(r *probe.Result) []string {
			problems := append(compare(r, nil), lacking(r, "Handshakes failed: handshake: answered 429 Too Many Requests (")...)
			if r.Outlived < 2.9 {
				problems = append(problems, fmt.Sprintf("a silence of %v s was outlived: the connections that tell the most come last", r.Outlived))
			}
			return problems
		})
	})
}

// A server that does not want a connection is no hop with a limit.
func TestEndedAtOnce(t *testing.T) {
	t.Parallel()
	cfg := probe.Config{Max: time.Second, Every: 100 * time.Millisecond, Timeout: 3 * time.Second, Ladder: true}
	cfg.URL = "ws://" + serve(t, nil, func(_ context.Context, c *websocket.Conn) { _ = c.Close(4401, "log in") })
	_, err := probe.Run(t.Context(), cfg, nil)
	if want := `the server ends every connection at once, with a close frame (4401 "log in"): if it expects a header`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// An interrupted run does not say that the server answers no pings: there was no time for an answer.
func TestInterruptedBeforePong(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	noPongs := &websocket.AcceptOptions{OnPingReceived: func(context.Context, []byte) bool {
		interrupt()
		return false
	}}
	cfg := probe.Config{Max: time.Minute, Every: time.Second, Timeout: time.Minute, URL: "ws://" + serve(t, noPongs, echo)}
	r, err := probe.Run(ctx, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || len(lacking(r, "answers no pings")) == 0 {
		t.Errorf("interrupted: %v, notes %q", r.Interrupted, r.Notes)
	}
}

// An interrupted handshake is no failed one.
func TestInterruptedHandshake(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	var open atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open.Add(1) > 3 {
			interrupt()
			<-r.Context().Done()
			return
		}
		if c, err := websocket.Accept(w, r, nil); err == nil {
			defer c.CloseNow()
			echo(r.Context(), c)
		}
	}))
	defer s.Close()
	r, err := probe.Run(ctx, probe.Config{Max: time.Minute, Every: time.Second, Timeout: time.Minute, URL: s.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || len(lacking(r, "Handshakes failed")) == 0 {
		t.Errorf("interrupted: %v, notes %q", r.Interrupted, r.Notes)
	}
}
