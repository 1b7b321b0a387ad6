package messagekind_test

import (
	"strings"
	"testing"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

const (
	text   = 1 << iota // a text message
	cut                // the beginning of a longer message
	client             // sent by the client
)

// readerCases are messages with their kinds, by Reader.
var readerCases = []struct {
	name     string
	reader   messagekind.Reader
	declared []string
	messages []readerCase
}{
	{"JSONMember", messagekind.JSONMember("type"), []string{"chat", "typing", "7", "true", "ü", "\U0001F600", `a"b`}, []readerCase{
		{text, `{"type":"chat","text":"hi"}`, "chat"},
		{0, `{"type":"chat"}`, "chat"},
		{text, " \t\r\n{ \"type\" :\n \"typing\" } ", "typing"},
		{text, `{"a":{"type":"typing"},"b":[{"type":"typing"}],"c":"type","type":"chat"}`, "chat"},
		{text, `{"text":"say \"type\":\"typing\" \\","type":"chat"}`, "chat"},
		{text, `{"type":"typing","type":"chat"}`, "typing"},
		{text, `{"\u0074ype":"ch\u0061t"}`, "chat"},
		{text, `{"type":"\u00fC"}`, "ü"},
		{text, `{"type":"\ud83d\ude00"}`, "\U0001F600"},
		{text, `{"type":"a\"b"}`, `a"b`},
		{text, `{"type":7}`, "7"},
		{text, `{"type":7 , "a":1}`, "7"},
		{text, `{"type":true}`, "true"},
		{text, `{"type":"shout"}`, "other"},
		{text, `{"type":"chat` + strings.Repeat("x", 200) + `"}`, "other"},
		{text, `{"type":"` + strings.Repeat(`\u0061`, 200) + `"}`, "other"},
		{text, `{"type":"other"}`, "other"},
		{text, `{"type":"none"}`, "other"},
		{text, `{"type":{"chat":1}}`, "other"},
		{text, `{"type":["chat"]}`, "other"},
		{text, "{\"type\":\"ch\xff\xfet\"}", "other"},
		{text, "{\"type\":\"\x89\"}", "other"},
		{text, `{"type":"\ud800"}`, "other"},
		{text, `{"type":"\x"}`, "other"},
		{text, `{"Type":"chat"}`, "none"},
		{text, `{"type":null}`, "none"},
		{text, `{"type":""}`, "none"},
		{text, `{}`, "none"},
		{text, `{"a":1}`, "none"},
		{text, `["type","chat"]`, "none"},
		{text, `"chat"`, "none"},
		{text, `hello`, "none"},
		{text, ``, "none"},
		{0, "\x00\x01", "none"},
		{text | cut, ``, "other"},
		{text | cut, `{"a":1`, "other"},
		{text | cut, `{"type":"cha`, "other"},
		{text | cut, `{"type":7`, "other"},
		{text, `{"type":7`, "other"},
		{text, `{"type"`, "other"},
		{text, `{"type":`, "other"},
		{text, `{"a":1,"b":[[[[`, "other"},
		{text, `{,"type":"chat"}`, "other"},
		{text, `{"a" "type":"chat"}`, "other"},
		{text, `{"a":1 "type":"chat"}`, "other"},
		{text, `{"a":,"type":"chat"}`, "other"},
		{text, `{"a":` + strings.Repeat("[", 400), "other"},
		{text, `{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `,"type":"chat"}`, "chat"},
	}},
	{"graphql-transport-ws", messagekind.GraphQLTransportWS(), nil, []readerCase{
		{text | client, `{"type":"connection_init"}`, "connection_init"},
		{text, `{"type":"connection_ack"}`, "connection_ack"},
		{text | client, `{"id":"1","type":"subscribe","payload":{"query":"{ type }"}}`, "subscribe"},
		{text, `{"id":"1","payload":{"data":{"type":"error"}},"type":"next"}`, "next"},
		{text, `{"id":"1","type":"complete"}`, "complete"},
		{text, `{"type":"ping"}`, "ping"},
		{text, `{"type":"ka"}`, "other"},
		{text, `{"id":"1"}`, "none"},
		{text | cut, `{"id":"1"`, "other"},
	}},
	{"graphql-ws", messagekind.GraphQLWS(), nil, []readerCase{
		{text, `{"type":"ka"}`, "ka"},
		{text | client, `{"type":"start","id":"1","payload":{}}`, "start"},
		{text, `{"type":"data","id":"1","payload":{}}`, "data"},
		{text | client, `{"type":"connection_terminate"}`, "connection_terminate"},
		{text, `{"type":"next"}`, "other"},
	}},
	{"JSON-RPC", messagekind.JSONRPC(), []string{"eth_subscribe"}, []readerCase{
		{text | client, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["result"]}`, "eth_subscribe"},
		{text | client, `{"id":1,"params":{"error":1,"method":"x"},"method":"eth_subscribe"}`, "eth_subscribe"},
		{text | client, `{"method":"result"}`, "other"},
		{text, `{"jsonrpc":"2.0","id":1,"result":{"method":"eth_subscribe"}}`, "result"},
		{text, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}`, "error"},
		{text, `{"jsonrpc":"2.0","result":null,"id":1}`, "result"},
		{text, `{"id":0,"result":null,"error":"rpc: can't find service"}`, "error"},
		{text, `{"id":0,"result":7,"error":null}`, "result"},
		{text, `{"error":null,"result":{"error":1},"id":0}`, "result"},
		{text, `{"error":{"code":-1},"result":null,"id":0}`, "error"},
		{text, `{"error":null}`, "error"},
		{text, `{"result":nul`, "other"},
		{text, ` [{"jsonrpc":"2.0","method":"eth_subscribe"}]`, "batch"},
		{text, `{"jsonrpc":"2.0"}`, "none"},
		{text, `{"jsonrpc":"2.0`, "other"},
	}},
	{"Engine.IO", messagekind.EngineIO(), nil, []readerCase{
		{text, `0{"sid":"a"}`, "open"}, {text, "1", "close"}, {text, "2probe", "ping"}, {text, "3", "pong"},
		{text, `42["chat"]`, "message"}, {text, "5", "upgrade"}, {text, "6", "noop"},
		{0, "\x01", "message"}, {text, "7", "other"}, {text, "x", "other"}, {text, "", "none"},
	}},
	{"Socket.IO", messagekind.SocketIO(), []string{"chat message", "typing", "ü"}, []readerCase{
		{text, `0{"sid":"a"}`, "open"}, {text, "2", "ping"}, {text, "3probe", "pong"}, {text, "4", "message"},
		{text, "40", "CONNECT"}, {text, `40/admin,{"token":"1"}`, "CONNECT"}, {text, "41/admin,", "DISCONNECT"},
		{text, `42["chat message","hi"]`, "chat message"},
		{text, `42/admin,["typing"]`, "typing"},
		{text, `4212["typing"]`, "typing"},
		{text, `42/admin,12["typing",{}]`, "typing"},
		{text, `42/a/b?q=1,["typing"]`, "typing"},
		{text, `42["\u00fc"]`, "ü"},
		{text, `42["shout"]`, "EVENT"}, {text, `42["ping"]`, "EVENT"}, {text, `42["CONNECT"]`, "EVENT"},
		{text, `42[7]`, "EVENT"}, {text, `42[]`, "EVENT"}, {text | cut, `42/admin`, "EVENT"}, {text | cut, `42["typi`, "EVENT"},
		{text, `43/admin,12["ok"]`, "ACK"}, {text, `44{"message":"no"}`, "CONNECT_ERROR"},
		{text, `451-["typing",{"_placeholder":true,"num":0}]`, "typing"},
		{text, `451-/admin,7["typing"]`, "typing"}, {text, `452-["shout"]`, "BINARY_EVENT"},
		{text, `461-/admin,7[]`, "BINARY_ACK"}, {0, "\x01\x02\x03", "attachment"},
		{text, "47", "other"}, {text, "4x", "other"}, {text, "9", "other"}, {text, "", "none"},
	}},
	{"STOMP", messagekind.STOMP(), nil, []readerCase{
		{text | client, "CONNECT\naccept-version:1.2\n\n\x00", "CONNECT"},
		{text | client, "STOMP\r\nhost:a\r\n\r\n\x00", "STOMP"},
		{text, "\nMESSAGE\nsubscription:0\n\nSEND\n\x00", "MESSAGE"},
		{0, "SEND\ndestination:/a\n\n\x00\x01\x00", "SEND"},
		{text, "\n", "heart-beat"}, {text, "\r\n\n", "heart-beat"},
		{text | cut, "\n\n", "other"}, {text, "SEND", "other"}, {text, "send\n\n\x00", "other"},
		{text, "SENDER\n\n\x00", "other"}, {text, "", "none"}, {text, "heart-beat\n\n\x00", "other"},
	}},
	{"MQTT", messagekind.MQTT(), nil, []readerCase{
		{client, "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "CONNECT"}, {0, "\x20\x02\x00\x00", "CONNACK"},
		{0, "\x30\x05\x00\x01ahi", "PUBLISH"}, {0, "\x3d\x05", "PUBLISH"}, {0, "\x40\x02\x00\x01", "PUBACK"},
		{0, "\x50\x02", "PUBREC"}, {0, "\x62\x02", "PUBREL"}, {0, "\x70\x02", "PUBCOMP"}, {0, "\x82\x02", "SUBSCRIBE"},
		{0, "\x90\x02", "SUBACK"}, {0, "\xa2\x02", "UNSUBSCRIBE"}, {0, "\xb0\x02", "UNSUBACK"}, {0, "\xc0\x00", "PINGREQ"},
		{0, "\xd0\x00", "PINGRESP"}, {0, "\xe0\x00", "DISCONNECT"}, {0, "\xf0\x00", "AUTH"},
		{0, "\x00\x00", "other"}, {0, "\x60\x02", "other"}, {0, "\x81\x02", "other"}, {0, "\xc1\x00", "other"},
		{text, "0\x05\x00\x01ahi", "other"}, {0, "", "none"},
	}},
	{"Phoenix", messagekind.Phoenix(), []string{"new_msg"}, []readerCase{
		{text | client, `["1","1","room:lobby","phx_join",{}]`, "phx_join"},
		{text | client, `[null,"2","phoenix","heartbeat",{}]`, "heartbeat"},
		{text | client, `["1","3","room:lobby","new_msg",{"event":"phx_leave"}]`, "new_msg"},
		{text, `["1","3","room:lobby","phx_reply",{"status":"ok"}]`, "phx_reply"},
		{text, `[null,null,"room:lobby","shout",{}]`, "other"},
		{text, `{"topic":"room:lobby","event":"new_msg","payload":{},"ref":1}`, "new_msg"},
		{text, `{"topic":"room:lobby"}`, "none"}, {text, `["1","3","room"`, "other"}, {text, `["1","3"]`, "other"},
		{client, "\x00\x01\x01\x0a\x07" + "1" + "3" + "room:lobby" + "new_msg" + "\x01\x02", "new_msg"},
		{0, "\x00\x01\x0a\x07" + "1" + "room:lobby" + "new_msg" + "\x01\x02", "new_msg"},
		{0, "\x01\x01\x01\x0a\x02" + "1" + "3" + "room:lobby" + "ok", "phx_reply"},
		{0, "\x02\x0a\x07" + "room:lobby" + "new_msg" + "\x01", "new_msg"},
		{0, "\x02\x0a\x05" + "room:lobby" + "shout", "other"},
		{0, "\x02\x0a\x07" + "room:lobby", "other"}, {0, "\x02", "other"}, {0, "\x03\x00\x00", "other"}, {0, "", "none"},
	}},
	{"SignalR", messagekind.SignalR(), nil, []readerCase{
		{text | client, "{\"protocol\":\"json\",\"version\":1}\x1e", "HandshakeRequest"},
		{text, "{}\x1e", "HandshakeResponse"}, {text, "{\"error\":\"no\"}\x1e", "HandshakeResponse"},
		{0, "{}\x1e", "HandshakeResponse"}, {client, "{\"protocol\":\"messagepack\",\"version\":1}\x1e", "HandshakeRequest"},
		{text, "{\"type\":1,\"target\":\"Send\",\"arguments\":[{\"type\":6}]}\x1e", "Invocation"},
		{text, "{\"target\":\"Send\",\"type\":4}\x1e", "StreamInvocation"}, {text, "{\"type\":2}\x1e{\"type\":3}\x1e", "StreamItem"},
		{text, "{\"type\":3}\x1e", "Completion"}, {text, "{\"type\":5}\x1e", "CancelInvocation"}, {text, "{\"type\":6}\x1e", "Ping"},
		{text, "{\"type\":7}\x1e", "Close"}, {text, "{\"type\":8}\x1e", "Ack"}, {text, "{\"type\":9}\x1e", "Sequence"},
		{text, "{\"type\":0}\x1e", "other"}, {text, "{\"type\":10}\x1e", "other"}, {text, "{\"type\":\"1\"}\x1e", "other"},
		{text, "[]\x1e", "other"}, {text | cut, "{\"a\":1", "other"}, {text, "", "none"},
		{0, "\x02\x91\x06", "Ping"}, {0, "\x80\x02\x96\x01\x80\xc0", "Invocation"}, {0, "\x05\xdc\x00\x05\x03", "Completion"},
		{0, "\x02\x91\xcc", "other"}, {0, "\x80\x80\x80\x80\x80\x00\x91\x06", "other"}, {0, "\x02\x81\x06", "other"}, {0, "\x80", "other"},
	}},
}

type readerCase struct {
	flags int
	bytes string
	kind  string
}

func (c readerCase) message() messagekind.Message {
	return messagekind.Message{
		Prefix: []byte(c.bytes), Whole: c.flags&cut == 0, Text: c.flags&text != 0, FromClient: c.flags&client != 0,
	}
}

func declare(tb testing.TB, r messagekind.Reader, kinds ...string) *messagekind.Kinds {
	tb.Helper()
	k, err := messagekind.Declare(r, kinds...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestReaders(t *testing.T) {
	for _, r := range readerCases {
		k := declare(t, r.reader, r.declared...)
		for _, c := range r.messages {
			m := c.message()
			if got := k.Names()[k.Read(m)]; got != c.kind {
				t.Errorf("%s: %.60q is %s, want %s", r.name, c.bytes, got, c.kind)
			}
			if string(m.Prefix) != c.bytes {
				t.Errorf("%s: %.60q is changed", r.name, c.bytes)
			}
		}
	}
}

// For the beginning of a message, a Reader returns the kind of the whole message, or
// an unsure kind.
func TestBeginnings(t *testing.T) {
	for _, r := range readerCases {
		k := declare(t, r.reader, r.declared...)
		for _, c := range r.messages {
			if c.flags&cut == 0 {
				expectBeginnings(t, k, c.message())
			}
		}
	}
}

// unsure are the kinds that a Reader returns if the beginning of a message does not
// determine the kind.
var unsure = map[string]bool{"other": true, "EVENT": true, "BINARY_EVENT": true, "message": true}

func expectBeginnings(t *testing.T, k *messagekind.Kinds, m messagekind.Message) {
	t.Helper()
	whole := k.Names()[k.Read(m)]
	for i := range m.Prefix {
		part := m
		part.Prefix, part.Whole = m.Prefix[:i:i], false
		if got := k.Names()[k.Read(part)]; got != whole && !unsure[got] && (i > 0 || got != messagekind.None) {
			t.Fatalf("%.60q of %.60q is %s, and all of it is %s", part.Prefix, m.Prefix, got, whole)
		}
	}
}
