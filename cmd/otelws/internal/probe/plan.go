package probe

import (
	"slices"
	"time"
)

// Kind is the traffic on a connection.
type Kind string

// The kinds of connections.
const (
	Silent    Kind = "silent"    // nothing until a ping at the end
	KeepAlive Kind = "keepalive" // TCP keepalives, which are not visible to WebSocket
	Pong      Kind = "pong"      // unsolicited pongs, which the server does not answer: traffic in one direction only
	Ping      Kind = "ping"      // pings and their pongs
	Message   Kind = "message"   // messages, and the answers of the server
)

// busy are the kinds with regular traffic.
var busy = []Kind{KeepAlive, Pong, Ping, Message}

// attempt is the plan for one connection.
type attempt struct {
	kind    Kind
	start   time.Duration // after the run's start
	silence time.Duration // for Silent: the time before the ping
	twin    bool          // a later copy of another attempt
}

// rungs are common limits on silence, in seconds. They find a hop that drops
// connections silently: a connection that was silent for a little less than the limit
// answers, and one that was silent for a little more does not.
var rungs = []float64{1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 55, 60, 75, 90, 100, 120, 180, 240, 300, 350, 400, 600, 900, 1800, 3600, 7200}

// A limit is tried with a silence of these fractions.
const (
	below = .96
	above = 1.04
)

// spacing is the time between two handshakes at the start of a run.
const spacing = 20 * time.Millisecond

// stagger is the delay of a twin. If a connection and its twin end at the same
// moment, the cause was an event, not a limit.
func (c *Config) stagger() time.Duration { return min(max(c.Max/20, time.Second), 5*time.Second) }

// plan returns the connections of a run. The most important ones come first, because
// a server may refuse the later ones.
func (c *Config) plan() (all []attempt) {
	for _, twin := range []bool{false, true} {
		all = append(all, attempt{kind: Silent, silence: c.Max, twin: twin})
		for _, k := range busy {
			all = append(all, attempt{kind: k, twin: twin})
		}
	}
	if c.Ladder {
		for _, limit := range slices.Backward(rungs) {
			for _, part := range []float64{above, below} {
				if d := time.Duration(limit * part * float64(time.Second)); d < c.Max {
					all = append(all, attempt{kind: Silent, silence: d})
				}
			}
		}
	}
	for i := range all {
		all[i].start = time.Duration(i) * spacing
		if all[i].twin {
			all[i].start += c.stagger()
		}
	}
	return all
}
