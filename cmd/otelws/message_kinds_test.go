package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// The valid and the invalid forms of the flag.
func TestMessageKindsFlag(t *testing.T) {
	for _, tt := range []struct{ flag, want string }{
		{"json:type=chat,typing", "chat typing other none"},
		{"json:type= chat , typing ,", "chat typing other none"},
		{"json:a:b=x", "x other none"},
		{"graphql-transport-ws", "connection_init connection_ack ping pong subscribe next error complete other none"},
		{"json-rpc=eth_call", "result error batch eth_call other none"},
		{"engine.io=", "open close ping pong message upgrade noop other none"},
		{"json", "name the member that has the kind, as in json:type=chat,typing"},
		{"json=chat", "name the member"},
		{"json:type", "has no kinds of its own: declare"},
		{"mqtt:type", `only json takes a member, and here is "type"`},
		{"mqtt=PUBLISH,SUBSCRIPE", `MQTT has no kind "SUBSCRIPE": it has CONNECT`},
		{"xml:type=a", `there is no reader "xml": use one of engine.io, graphql-transport-ws, graphql-ws, json, json-rpc, mqtt, phoenix, signalr, socket.io, stomp`},
		{"", `there is no reader ""`},
	} {
		var m messageKinds
		var got string
		if err := m.Set(tt.flag); err != nil {
			got = err.Error()
		} else {
			k, err := messagekind.Declare(m.reader, m.kinds...)
			check(t, err)
			got = strings.Join(k.Names(), " ")
			if m.Set(tt.flag) == nil {
				t.Errorf("%s is taken twice", tt.flag)
			}
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s; want %s", tt.flag, got, tt.want)
		}
	}
}

// The proxy counts the messages of any server by kind, on both sides, compressed or
// not.
func TestProxyMessageKinds(t *testing.T) {
	backend := startEcho(t)
	r := startProxy(t, "--backend", backend.URL, "--message-kinds", "json:type=chat,typing", "--message-kinds.prefix", "64")
	c := r.dial(t, "/")
	far := `{"text":"` + strings.Repeat("x", 64) + `","type":"chat"}`
	for _, m := range []string{`{"type":"chat"}`, `{"a":1,"type":"typing"}`, `{"type":"typing"}`, `{"type":"shout"}`, far, `hello`} {
		check(t, c.Write(testContext(t), websocket.MessageText, []byte(m)))
		if _, b, err := c.Read(testContext(t)); err != nil || string(b) != m {
			t.Fatalf("echo %q, %v", b, err)
		}
	}
	for _, side := range []string{"ws", "ws_client"} {
		for _, direction := range []string{"receive", "transmit"} {
			for kind, n := range map[string]float64{"chat": 1, "typing": 2, "other": 2, "none": 1} {
				r.waitForValue(t, fmt.Sprintf(`%s_messages_total{kind=%q,network_io_direction=%q}`, side, kind, direction), n)
			}
		}
	}
}
