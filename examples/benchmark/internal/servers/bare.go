package servers

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// newBare returns bare coder/websocket.
func newBare(opts Options) (*Server, error) {
	return &Server{
		Accept: func(w http.ResponseWriter, r *http.Request) (Conn, error) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return nil, err
			}
			if opts.Heartbeat > 0 {
				go every(r.Context(), opts.Heartbeat, func(ctx context.Context) error {
					return c.Ping(ctx)
				})
			}
			return c, nil
		},
	}, nil
}

// every calls ping at an interval, which is also the time limit of a ping. It returns when a ping
// fails or the handler returns.
func every(ctx context.Context, interval time.Duration, ping func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, interval)
		err := ping(limited)
		cancel()
		if err != nil {
			return
		}
	}
}
