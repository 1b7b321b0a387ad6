package messagekind

// GraphQLTransportWS returns a Reader of the message types of the subprotocol graphql-transport-ws
// ("GraphQL over WebSocket Protocol"). The library graphql-ws uses it.
func GraphQLTransportWS() Reader {
	return jsonTypes("graphql-transport-ws",
		"connection_init", "connection_ack", "ping", "pong", "subscribe", "next", "error", "complete")
}

// GraphQLWS returns a Reader of the message types of the older subprotocol graphql-ws ("GraphQL
// over WebSocket" of Apollo). The library subscriptions-transport-ws uses it.
func GraphQLWS() Reader {
	return jsonTypes("graphql-ws",
		"connection_init", "connection_ack", "connection_error", "ka", "connection_terminate",
		"start", "data", "error", "complete", "stop")
}

// jsonTypes returns a Reader of the member type, for a protocol that defines all its values.
func jsonTypes(protocol string, types ...string) Reader {
	own, names := places(types), []string{"type"}
	return Reader{protocol: protocol, own: types, read: func(k *Kinds, m Message) int32 {
		s := scanner{b: m.Prefix}
		switch _, found := s.member(names, m.Whole); found {
		case present:
			return s.kind(k, own)
		case absent:
			return k.none
		}
		return k.other
	}}
}

// JSONRPC returns a Reader of JSON-RPC 2.0 and 1.0. The kind of a request is its method. Declare the
// methods. A response has the kind result or error. A batch has the kind batch, whatever it
// contains.
func JSONRPC() Reader {
	const batch = 2
	members := []string{"result", "error", "method"}
	return Reader{protocol: "JSON-RPC", own: []string{"result", "error", "batch"}, open: true, read: func(k *Kinds, m Message) int32 {
		s := scanner{b: m.Prefix}
		if s.space(); s.at < len(s.b) && s.b[s.at] == '[' {
			return batch
		}
		switch i, found := s.member(members, m.Whole); {
		case found == absent:
			return k.none
		case found != present:
			return k.other
		case members[i] != "method":
			return k.response(m, members[:2], i, s)
		}
		return s.kind(k, nil)
	}}
}

// response returns the kind of a response of JSON-RPC whose first member is members[first]. s is at its
// value. A response of version 1.0, as of net/rpc/jsonrpc, has both members, and one of them is null.
func (k *Kinds) response(m Message, members []string, first int, s scanner) int32 {
	for i, found := first, present; ; i = 1 - first {
		switch {
		case found == absent: // version 2.0, where a result may be null
			return int32(first)
		case found != present || s.at == len(s.b):
			return k.other
		case s.b[s.at] != 'n':
			return int32(i)
		case i != first:
			return int32(first)
		}
		s = scanner{b: m.Prefix}
		_, found = s.member(members[1-first:2-first], m.Whole)
	}
}

// places returns the index of each of a protocol's own kinds, by name.
func places(own []string) map[string]int32 {
	m := make(map[string]int32, len(own))
	for i, name := range own {
		m[name] = int32(i)
	}
	return m
}
