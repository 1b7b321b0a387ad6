// Package load puts a WebSocket server under load. It compares the server's
// metrics with its own counts of messages and connections.
package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// Config holds the settings of a run.
type Config struct {
	URL          string
	Header       http.Header // sent with each handshake
	Subprotocols []string    // offered in each handshake
	TLS          *tls.Config // nil means the default

	Connections int           // concurrent connections
	Ramp        time.Duration // time to open all of them
	Lifetime    time.Duration // of a connection until a new one replaces it; 0 means no limit

	// The run ends after Duration or Messages, whichever comes first. 0 means no limit.
	Duration time.Duration
	Messages int64

	Sizes Sizes
	// Rate is the number of messages a second for each connection. With 0, a connection sends a message
	// when the previous one has come back, or without Echo as fast as possible.
	Rate        float64
	Binary      bool
	Compression bool
	Echo        bool // the server sends each message back

	Heartbeat time.Duration // interval of the pings; 0 means none
	Drop      float64       // share of connections that end without a close frame
	Slow      float64       // share of connections that read slowly
	SlowPause time.Duration // of slow readers after each message

	// Timeout is the time limit of a handshake, of an echo, of a pong, and of the end of the run. Where
	// Rate is not 0, or Duration is not 0 and the server has sent an echo before, an echo may take longer.
	Timeout time.Duration

	// Verify is the address of the server's metrics, or empty. VerifyTimeout is the time limit until the
	// metrics must agree.
	Verify        string
	VerifyTimeout time.Duration
	Metrics       *scrape.Client
}

// Validate returns an error that names the wrong flag.
func (c *Config) Validate() error {
	for _, d := range []struct {
		flag  string
		value time.Duration
		least time.Duration
	}{
		{"ramp", c.Ramp, 0}, {"lifetime", c.Lifetime, 0}, {"duration", c.Duration, 0},
		{"heartbeat", c.Heartbeat, 0}, {"slow.pause", c.SlowPause, 0},
		{"timeout", c.Timeout, 1}, {"verify.timeout", c.VerifyTimeout, 1},
	} {
		if d.value < d.least {
			return fmt.Errorf("--%s %v: use a positive duration", d.flag, d.value)
		}
	}
	switch {
	case c.Connections < 1:
		return fmt.Errorf("--connections %d: use at least 1", c.Connections)
	case c.Messages < 0:
		return fmt.Errorf("--messages %d: use a positive number, or 0 for no limit", c.Messages)
	case c.Duration == 0 && c.Messages == 0:
		return errors.New("--duration 0s: use a duration, or give --messages")
	case c.Rate != 0 && !(c.Rate >= 1e-6 && c.Rate <= 1e6):
		return fmt.Errorf("--rate %v: use a number from 1e-6 to 1e6, or 0 for as many messages as possible", c.Rate)
	case !(c.Drop >= 0 && c.Drop <= 1):
		return fmt.Errorf("--drop %v: use a share from 0 to 1", c.Drop)
	case !(c.Slow >= 0 && c.Slow <= 1):
		return fmt.Errorf("--slow %v: use a share from 0 to 1", c.Slow)
	}
	return nil
}

// picks reports whether the connection with this number belongs to a share of all connections, which
// is spread evenly. Two shares with different phases, from 0 to 1, pick different connections.
func picks(number int64, share, phase float64) bool {
	at := func(n int64) int64 { return int64(float64(n)*share + phase + 1e-9) }
	return at(number+1) > at(number)
}
