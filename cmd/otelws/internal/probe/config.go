// Package probe finds out, from outside, after which silence or at which age
// something on the way to a WebSocket server ends its connections.
package probe

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"time"
)

// Config has the settings of a run.
type Config struct {
	URL          string
	Header       http.Header // of the handshakes
	Subprotocols []string    // that they offer
	TLS          *tls.Config // nil for the system's

	Max     time.Duration // the longest silence and the greatest age that are tried
	Every   time.Duration // time between two pings, pongs or messages of a busy connection
	Timeout time.Duration // limit on a handshake, and on the wait for a pong
	Message string        // text of the messages
	Ladder  bool          // look for hops that drop connections and tell nobody
}

// Validate returns an error that names the flag.
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

// Connections is how many connections a run opens.
func (c *Config) Connections() int { return len(c.plan()) }

// Length is how long a run takes where nothing fails.
func (c *Config) Length() time.Duration { return c.Max + c.stagger() }
