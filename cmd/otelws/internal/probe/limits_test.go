package probe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hoptest"
	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

// serve starts a server with a WebSocket handler, and returns its address.
func serve(t *testing.T, opts *websocket.AcceptOptions, handle func(context.Context, *websocket.Conn)) string {
	t.Helper()
	return serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { accept(w, r, opts, handle) })
}

// serveHTTP starts a server of handle, and returns its address.
func serveHTTP(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	var handlers sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		handle(w, r)
	}))
	t.Cleanup(func() {
		s.Close()
		handlers.Wait()
	})
	return strings.TrimPrefix(s.URL, "http://")
}

func accept(w http.ResponseWriter, r *http.Request, opts *websocket.AcceptOptions, handle func(context.Context, *websocket.Conn)) {
	c, err := websocket.Accept(w, r, opts)
	if err != nil {
		return
	}
	defer c.CloseNow()
	handle(r.Context(), c)
}

func echo(ctx context.Context, c *websocket.Conn) {
	for {
		typ, b, err := c.Read(ctx)
		if err != nil || c.Write(ctx, typ, b) != nil {
			return
		}
	}
}

func run(t *testing.T, cfg probe.Config) *probe.Result {
	t.Helper()
	cfg.URL = "ws://" + cfg.URL
	cfg.Timeout, cfg.Message = 3*time.Second, "hello"
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r, err := probe.Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := r.WriteText(&text, 80); err != nil {
		t.Fatal(err)
	}
	t.Log(text.String())
	return r
}

// want is an expected limit.
type want struct {
	on            string
	seconds       float64
	seen          probe.Sign
	whenAsked     bool
	keeps, letsGo []probe.Kind
}

// compare returns the differences between the limits of r and the expected ones.
func compare(r *probe.Result, all []want) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(r.Limits) != len(all) {
		problem("%d limits, want %d", len(r.Limits), len(all))
		return problems
	}
	for i, w := range all {
		l := r.Limits[i]
		if l.On != w.on || l.Seconds < w.seconds*.99 || l.Seconds > w.seconds*1.05 || l.Least > w.seconds*1.05 || l.Most < w.seconds*.99 {
			problem("a limit on %s of %v, want one on %s of %v s", l.On, l, w.on, w.seconds)
		}
		if l.Seen != w.seen || l.WhenAsked != w.whenAsked {
			problem("seen by %q, when asked %v, want %q, %v", l.Seen, l.WhenAsked, w.seen, w.whenAsked)
		}
		if !slices.Equal(l.Keeps, w.keeps) || !slices.Equal(l.LetsGo, w.letsGo) {
			problem("%q keep and %q do not, want %q and %q", l.Keeps, l.LetsGo, w.keeps, w.letsGo)
		}
	}
	return problems
}

// eventually repeats a probe until its result is right, since a busy machine delays
// hops and probe. It gives up after four runs.
func eventually(t *testing.T, cfg probe.Config, wrong func(*probe.Result) []string) {
	t.Helper()
	var problems []string
	var late float64
	for range 4 {
		r := run(t, cfg)
		if problems = wrong(r); len(problems) == 0 {
			return
		}
		late = r.Late
	}
	if late > .05 {
		t.Skipf("the machine is too busy: its timers are %v s late", late)
	}
	t.Error(strings.Join(problems, "\n"))
}

var (
	keepAlives = []probe.Kind{probe.KeepAlive}
	frames     = []probe.Kind{probe.Pong, probe.Ping, probe.Message}
)

// A run finds the limit, how it shows, and which traffic keeps a connection open.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		relay     hoptest.Relay
		max       time.Duration
		want      []want
		heartbeat string
	}{
		{"silence of 3 s", hoptest.Relay{Idle: 3 * time.Second}, 5 * time.Second, []want{{probe.OnSilence, 3, probe.FIN, false, frames, keepAlives}}, "otelws.WithHeartbeat(otelws.Every(2*time.Second))"},
		{"a reset", hoptest.Relay{Idle: 3 * time.Second, How: hoptest.Resetting}, 5 * time.Second, []want{{probe.OnSilence, 3, probe.RST, false, frames, keepAlives}}, "otelws.WithHeartbeat(otelws.Every(2*time.Second))"},
		{"dropped at 3 s", hoptest.Relay{Idle: 3 * time.Second, How: hoptest.Dropping}, 5 * time.Second, []want{{probe.OnSilence, 3, probe.Nothing, true, frames, keepAlives}}, "otelws.WithHeartbeat(otelws.Every(2*time.Second))"},
		{"dropped at 5 s", hoptest.Relay{Idle: 5 * time.Second, How: hoptest.Dropping}, 8 * time.Second, []want{{probe.OnSilence, 5, probe.Nothing, true, frames, keepAlives}}, "otelws.WithHeartbeat(otelws.Every(3500*time.Millisecond))"},
		{"dropped at 7 s", hoptest.Relay{Idle: 7 * time.Second, How: hoptest.Dropping}, 9 * time.Second, []want{{probe.OnSilence, 7, probe.Nothing, true, frames, keepAlives}}, "otelws.WithHeartbeat(otelws.Every(5*time.Second))"},
		{"reset when something comes", hoptest.Relay{Idle: 3 * time.Second, How: hoptest.ResetNext}, 5 * time.Second, []want{{probe.OnSilence, 3, probe.RST, true, frames, keepAlives}}, "otelws.WithHeartbeat(otelws.Every(2*time.Second))"},
		{"the server's direction alone", hoptest.Relay{Idle: 3 * time.Second, FromServer: true}, 5 * time.Second,
			[]want{{probe.OnSilence, 3, probe.FIN, false, []probe.Kind{probe.Ping, probe.Message}, []probe.Kind{probe.KeepAlive, probe.Pong}}}, "otelws.WithHeartbeat(otelws.Every(2*time.Second))"},
		{"age of 3 s", hoptest.Relay{Life: 3 * time.Second}, 5 * time.Second, []want{{probe.OnAge, 3, probe.FIN, false, nil, nil}}, ""},
		{"dropped at the age of 5 s", hoptest.Relay{Life: 5 * time.Second, How: hoptest.Dropping}, 8 * time.Second, []want{{probe.OnAge, 5, probe.Nothing, false, nil, nil}}, ""},
		{"age and silence", hoptest.Relay{Idle: 3 * time.Second, Life: 5 * time.Second}, 7 * time.Second,
			[]want{{probe.OnSilence, 3, probe.FIN, false, frames, keepAlives}, {probe.OnAge, 5, probe.FIN, false, nil, nil}}, "otelws.WithHeartbeat(otelws.Every(2*time.Second))"},
		{"none", hoptest.Relay{}, 3 * time.Second, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := tt.relay.Start(t, serve(t, nil, echo))
			cfg := probe.Config{URL: address, Max: tt.max, Every: 500 * time.Millisecond, Ladder: true}
			eventually(t, cfg, func(r *probe.Result) []string {
				problems := compare(r, tt.want)
				heartbeat := ""
				if r.Heartbeat != nil {
					heartbeat = r.Heartbeat.Otelws
				}
				if heartbeat != tt.heartbeat {
					problems = append(problems, fmt.Sprintf("a heartbeat of %q, want %q", heartbeat, tt.heartbeat))
				}
				for _, note := range r.Notes {
					if !strings.HasPrefix(note, "This machine was busy") {
						problems = append(problems, note)
					}
				}
				return problems
			})
		})
	}
}
