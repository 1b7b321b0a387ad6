// Package probe finds the limits on silence and on age after which a hop on the way
// to a WebSocket server ends connections.
package probe

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"time"
)

// Config configures a run.
type Config struct {
	URL          string
	Header       http.Header // sent with each handshake
	Subprotocols []string    // offered in each handshake
	TLS          *tls.Config // nil means the default

	Max     time.Duration // the longest silence and the greatest age to try
	Every   time.Duration // time between two pings, pongs or messages of a busy connection
	Timeout time.Duration // limit on a handshake, and on the wait for a pong
	Message string        // text of the messages
	Ladder  bool          // test for hops that drop connections silently
}

// Validate returns an error that names the invalid flag.
func (c *Config) Validate() error {
	switch {
	case c.Max < time.Second:
		return fmt.Errorf("--max %v: use 1s or more", c.Max)
	case c.Every < 10*time.Millisecond || c.Every > c.Max/2:
		return fmt.Errorf("--every %v: use from 10ms to half of --max", c.Every)
	case c.Timeout <= 0:
		return fmt.Errorf("--timeout %v: use a positive duration", c.Timeout)
	}
	return nil
}

// Connections returns the number of connections that a run opens.
func (c *Config) Connections() int { return len(c.plan()) }

// Length returns the duration of a run in which nothing fails.
func (c *Config) Length() time.Duration { return c.Max + c.stagger() }
