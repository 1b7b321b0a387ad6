package load_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
)

// A run without a duration ends if echoes stop, at the start or later.
func TestServerStopsEchoing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		echoes int
		rate   float64
		slow   float64
		hint   bool
	}{
		{"never", 0, 0, 0, true},
		{"never, at a rate", 0, 1000, 0, true},
		{"never, read slowly", 0, 0, 1, true},
		{"after two", 2, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config(t, serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
				for n := 0; ; n++ {
					typ, b, err := c.Read(ctx)
					if err != nil {
						return
					}
					if n < tt.echoes {
						_ = c.Write(ctx, typ, b)
					}
				}
			}))
			c.Verify, c.Messages, c.Connections, c.Rate, c.Slow, c.Timeout = "", 100, 3, tt.rate, tt.slow, 100*time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r, err := load.Run(ctx, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Interrupted || !strings.Contains(kinds(r), "message: not echoed") {
				t.Errorf("interrupted is %v, errors are %q", r.Interrupted, kinds(r))
			}
			if got := strings.Contains(text(t, r), "the server did not echo: "); got != tt.hint {
				t.Errorf("hint is %v, want %v:\n%s", got, tt.hint, text(t, r))
			}
		})
	}
}

// A run ends even if the server reads nothing and a write hangs.
func TestServerReadsNothing(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	c := config(t, serve(t, nil, func(context.Context, *websocket.Conn) { <-done }))
	c.Echo, c.Messages, c.Connections = false, 0, 2
	c.Duration, c.Timeout, c.VerifyTimeout = 100*time.Millisecond, 200*time.Millisecond, 10*time.Millisecond
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = load.Run(t.Context(), c, nil)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the run goes on")
	}
}

// A server that refuses large messages sends a close frame, and resets the connection while the rest
// of the message is on its way. The code tells the reason, not the failed Write.
func TestClosedDuringWrite(t *testing.T) {
	c := config(t, serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
		c.SetReadLimit(1 << 10)
		_, _, _ = c.Read(ctx)
	}))
	c.Connections, c.Messages, c.VerifyTimeout = 3, 3, 10*time.Millisecond
	if err := c.Sizes.Set("16MiB"); err != nil {
		t.Fatal(err)
	}
	r := run(t, c)
	if r.Closes["1009"] != 3 || kinds(r) != "closed by the server with 1009" {
		t.Errorf("got\n%s", text(t, r))
	}
}

// A close frame that the server does not answer is an error, even if the run expects no echo.
func TestCloseNotAnswered(t *testing.T) {
	release := make(chan struct{})
	c := config(t, serve(t, nil, func(context.Context, *websocket.Conn) { <-release }))
	c.Echo, c.Connections, c.Messages, c.Timeout, c.VerifyTimeout = false, 1, 1, 50*time.Millisecond, 10*time.Millisecond
	r := run(t, c)
	close(release)
	if kinds(r) != "close: not answered" || r.Errors[0].Count != 1 {
		t.Errorf("got\n%s", text(t, r))
	}
}
