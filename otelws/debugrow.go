package otelws

import "time"

// debugResponse is the JSON response of a DebugHandler. Durations are in seconds.
type debugResponse struct {
	Time time.Time `json:"time"`
	// Total is the number of open connections. Matching is the number of those that match the
	// filter and the role. Sums are the sums over the matching ones.
	Total       int           `json:"total"`
	Matching    int           `json:"matching"`
	Sums        debugSums     `json:"sums"`
	Addresses   bool          `json:"addresses"` // addresses are shown
	Connections []debugRow    `json:"connections"`
	Closed      []debugClosed `json:"closed"` // latest first
}

type debugSums struct {
	Connections      map[string]int64 `json:"connections"` // key: role
	MessagesReceived int64            `json:"messages_received"`
	MessagesSent     int64            `json:"messages_sent"`
	BytesReceived    int64            `json:"bytes_received"`
	BytesSent        int64            `json:"bytes_sent"`
}

func (s *debugSums) add(c *Connection) {
	s.Connections[roleName(c)]++
	s.MessagesReceived += c.MessagesReceived
	s.MessagesSent += c.MessagesSent
	s.BytesReceived += c.BytesReceived
	s.BytesSent += c.BytesSent
}

type debugRow struct {
	ID               uint64            `json:"id"`
	Role             string            `json:"role"`
	Remote           string            `json:"remote,omitempty"`
	Attributes       map[string]string `json:"attributes,omitempty"`
	Subprotocol      string            `json:"subprotocol,omitempty"`
	State            string            `json:"state"`
	Opened           time.Time         `json:"opened"`
	Age              float64           `json:"age_seconds"`
	Idle             float64           `json:"idle_seconds"`
	MessagesReceived int64             `json:"messages_received"`
	MessagesSent     int64             `json:"messages_sent"`
	BytesReceived    int64             `json:"bytes_received"`
	BytesSent        int64             `json:"bytes_sent"`
	RTT              float64           `json:"rtt_seconds,omitempty"`
	PingUnanswered   float64           `json:"ping_unanswered_seconds,omitempty"`
	Writing          float64           `json:"writing_seconds,omitempty"`
	TraceID          string            `json:"trace_id,omitempty"`
	TCP              *debugTCP         `json:"tcp,omitempty"`
}

type debugTCP struct {
	RTT          float64 `json:"rtt_seconds"`
	MinRTT       float64 `json:"min_rtt_seconds"`
	Retransmits  uint32  `json:"retransmits"`
	Unacked      uint32  `json:"unacked_segments"`
	Unsent       uint32  `json:"unsent_bytes"`
	Acked        uint64  `json:"acked_bytes"`
	PeerWindow   uint32  `json:"peer_window_bytes"`
	LastReceived float64 `json:"last_received_seconds"`
	PeerGone     bool    `json:"peer_gone"`
}

// statePeerGone is the state of an open connection if the kernel knows that the peer has left.
const statePeerGone = "peer_gone"

type debugClosed struct {
	debugRow
	Closed    time.Time `json:"closed"`
	Duration  float64   `json:"duration_seconds"`
	Code      int       `json:"code"` // 0: a code that must not be sent
	Initiator string    `json:"initiator"`
	Reason    string    `json:"reason,omitempty"`
}

func roleName(c *Connection) string {
	if c.Client {
		return "client"
	}
	return "server"
}

func newDebugRow(c *Connection, addresses bool) debugRow {
	r := debugRow{
		ID:               c.ID,
		Role:             roleName(c),
		Subprotocol:      c.Subprotocol,
		State:            c.State.String(),
		Opened:           c.Opened,
		Age:              c.Age.Seconds(),
		Idle:             c.Idle.Seconds(),
		MessagesReceived: c.MessagesReceived,
		MessagesSent:     c.MessagesSent,
		BytesReceived:    c.BytesReceived,
		BytesSent:        c.BytesSent,
		RTT:              c.RTT.Seconds(),
		PingUnanswered:   c.PingUnanswered.Seconds(),
		Writing:          c.Writing.Seconds(),
	}
	if addresses && c.RemoteAddr != nil {
		r.Remote = c.RemoteAddr.String()
	}
	if len(c.attrs) > 0 {
		r.Attributes = make(map[string]string, len(c.attrs))
		for _, a := range c.attrs {
			r.Attributes[string(a.Key)] = a.Value.AsString()
		}
	}
	if c.TraceID.IsValid() {
		r.TraceID = c.TraceID.String()
	}
	if t, ok := c.TCP(); ok {
		if t.PeerGone && c.State == StateOpen {
			r.State = statePeerGone
		}
		r.TCP = &debugTCP{
			RTT:          t.RTT.Seconds(),
			MinRTT:       t.MinRTT.Seconds(),
			Retransmits:  t.Retransmits,
			Unacked:      t.Unacked,
			Unsent:       t.Unsent,
			Acked:        t.Acked,
			PeerWindow:   t.PeerWindow,
			LastReceived: t.LastReceived.Seconds(),
			PeerGone:     t.PeerGone,
		}
	}
	return r
}

// peerGone reports whether c is open and its peer has left.
func peerGone(c *Connection) bool {
	t, ok := c.TCP()
	return ok && t.PeerGone && c.State == StateOpen
}

func newDebugClosed(c *EndedConnection, addresses bool) debugClosed {
	return debugClosed{
		debugRow:  newDebugRow(&c.Connection, addresses),
		Closed:    c.Ended,
		Duration:  c.Age.Seconds(),
		Code:      int(c.Code),
		Initiator: c.Initiator.String(),
		Reason:    c.Reason,
	}
}
