package messagekind

// phoenixKinds are the events that Phoenix itself defines.
var phoenixKinds = []string{
	"phx_join", "phx_leave", "phx_reply", "phx_error", "phx_close", "heartbeat", "presence_state", "presence_diff",
}

var phoenixPlaces = places(phoenixKinds)

const phoenixReply = 2

// Phoenix returns a Reader of the events of Phoenix channels. Declare the events. It reads versions
// 1 and 2 of the JSON serializer, and the binary messages of version 2. The events that Phoenix
// itself defines, such as phx_join and heartbeat, need no declaration.
func Phoenix() Reader {
	members := []string{"event"}
	return Reader{protocol: "Phoenix", own: phoenixKinds, open: true, read: func(k *Kinds, m Message) int32 {
		if !m.Text {
			return phoenixBinary(k, m)
		}
		s := scanner{b: m.Prefix}
		if s.space(); s.at < len(s.b) && s.b[s.at] == '[' {
			const event = 3 // [join_ref, ref, topic, event, payload]
			if !s.element(event) {
				return k.other
			}
			return s.kind(k, phoenixPlaces)
		}
		switch _, found := s.member(members, m.Whole); found {
		case present:
			return s.kind(k, phoenixPlaces)
		case absent:
			return k.none
		}
		return k.other
	}}
}

// phoenixBinary reads the header of a binary message: its type, the sizes of its fields, and the
// fields.
func phoenixBinary(k *Kinds, m Message) int32 {
	const push, reply, broadcast = 0, 1, 2
	b := m.Prefix
	if len(b) == 0 {
		return k.none
	}
	fields := 0 // the last field is the event
	switch {
	case b[0] == reply:
		return phoenixReply
	case b[0] == push && m.FromClient:
		fields = 4 // join_ref, ref, topic
	case b[0] == push:
		fields = 3 // join_ref, topic
	case b[0] == broadcast:
		fields = 2 // topic
	}
	if fields == 0 || len(b) < 1+fields {
		return k.other
	}
	at := 1 + fields
	for _, size := range b[1:fields] {
		at += int(size)
	}
	end := at + int(b[fields])
	if end > len(b) {
		return k.other
	}
	if i, ok := phoenixPlaces[string(b[at:end])]; ok {
		return i
	}
	return k.of(b[at:end])
}
