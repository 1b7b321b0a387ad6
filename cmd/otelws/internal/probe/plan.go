package probe

import (
	"slices"
	"time"
)

// Kind is what passes on a connection of a run.
type Kind string

// The kinds of connections.
const (
	Silent    Kind = "silent"    // nothing, up to a ping at the end
	KeepAlive Kind = "keepalive" // keepalives of TCP, which a WebSocket does not see
	Pong      Kind = "pong"      // pongs that nobody asked for, and nobody answers: from here to the server alone
	Ping      Kind = "ping"      // pings and their pongs
	Message   Kind = "message"   // messages, and whatever the server answers
)

// busy are the kinds on which something passes all the time.
var busy = []Kind{KeepAlive, Pong, Ping, Message}

// attempt is one connection that is to be opened.
type attempt struct {
	kind    Kind
	start   time.Duration // after the run's start
	silence time.Duration // of a silent one, before its ping
	twin    bool          // like another one, but later
}

// rungs are limits that hops have or that people set, in seconds. A hop that drops
// connections and tells nobody shows in this: what was silent for a little less
// than its limit is answered, and what was silent for a little more is not.
var rungs = []float64{1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 55, 60, 75, 90, 100, 120, 180, 240, 300, 350, 400, 600, 900, 1800, 3600, 7200}

// below and above are where a limit is tried, as parts of it.
const (
	below = .96
	above = 1.04
)

// spacing is the time between two handshakes at the start of a run.
const spacing = 20 * time.Millisecond

// stagger is how much later than its like a second connection begins. If the two
// end at the same moment, it was an event and no limit.
func (c *Config) stagger() time.Duration { return min(max(c.Max/20, time.Second), 5*time.Second) }

// plan lists the connections of a run. Those that tell the most come first, since a
// server may refuse some.
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
