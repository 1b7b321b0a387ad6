package load_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
)

func TestText(t *testing.T) {
	r := &load.Result{
		URL: "ws://localhost:8080/echo",
		Settings: load.Settings{Connections: 50, Ramp: 1, Duration: 10, Sizes: "64:70,1KiB:30", Echo: true,
			Compression: true, Heartbeat: 0.5, Drop: 0.1, Slow: 0.2},
		Seconds:     10.04,
		Connections: load.Connections{Opened: 50, Dropped: 5, Compressed: 50},
		Messages:    load.Messages{Sent: 1000, Received: 1000, SentBytes: 64000, ReceivedBytes: 64000, PerSecond: 99.6},
		RTT: &load.Latency{Count: 1000, Mean: .0012, P50: .001, P90: .002, P95: .003, P99: .004, P999: .0045, Max: .0046,
			Buckets: []load.Bucket{{To: .0005, Count: 1}, {To: .001, Count: 0}, {To: .002, Count: 900}, {To: .005, Count: 99}}},
		Closes: map[string]int64{"1000": 45, "1006": 5},
		Errors: []load.Error{{Kind: "dial: refused", Count: 2, Example: "connection refused"}},
	}
	const want = `ws://localhost:8080/echo
  50 connections, opened within 1s, offering permessage-deflate
  text messages of 64:70,1KiB:30 bytes, each after the echo of the previous one
  a ping every 500ms
  10 % of the connections end without a close frame
  20 % of the connections read slowly
  for 10s

        time  10.0 s
  handshakes      50  failed      0  compressed   50
        sent    1000   bytes  64000    a second  100
    received    1000   bytes  64000  unanswered    0
      closed      45    code   1000
      closed       5    code   1006

              count    mean   p50   p90   p95   p99   p99.9     max
  round trip   1000  1.2 ms  1 ms  2 ms  3 ms  4 ms  4.5 ms  4.6 ms

round trips
  ≤ 500 µs          1  █
    ≤ 1 ms          0
    ≤ 2 ms        900  ██████████████████████████████████████████████████
    ≤ 5 ms         99  ██████

errors
       2  dial: refused, such as connection refused
`
	if diff := cmp.Diff(want, text(t, r)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestJSON(t *testing.T) {
	c := config(t, serve(t, nil, echo))
	var b bytes.Buffer
	if err := run(t, c).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"url", "settings", "interrupted", "seconds", "connections", "messages", "handshake", "rtt", "heartbeat", "closes", "errors", "verification"} {
		if _, ok := got[name]; !ok {
			t.Errorf("no %s in %s", name, b.String())
		}
	}
	if got["messages"].(map[string]any)["sent"] != 2000.0 {
		t.Errorf("got %s", b.String())
	}
	if got["heartbeat"] != nil {
		t.Errorf("heartbeats that nobody sent are %v, want null", got["heartbeat"])
	}
	if s := got["settings"].(map[string]any); s["messages"] != 2000.0 || s["sizes"] != "64:5,0-1KiB:3,70KiB:1" || s["echo"] != true {
		t.Errorf("settings %v", s)
	}
	last, sum := 0.0, 0.0
	for _, bucket := range got["rtt"].(map[string]any)["buckets"].([]any) {
		to := bucket.(map[string]any)["to"].(float64)
		if to <= last {
			t.Errorf("a bucket to %v after one to %v", to, last)
		}
		last = to
		sum += bucket.(map[string]any)["count"].(float64)
	}
	if most := got["rtt"].(map[string]any)["max"].(float64); sum != 2000 || most > last {
		t.Errorf("the buckets have %v round trips up to %v, want 2000 up to %v", sum, last, most)
	}
}

func TestSizes(t *testing.T) {
	for _, bad := range []string{"", "x", "-1", "10-5", "1:0", "1:x", "1,", "65MiB", "1KB", "99999999999999999999"} {
		if s, err := load.ParseSizes(bad); err == nil {
			t.Errorf("%q is %v", bad, s)
		}
	}
	for _, good := range []string{"0", "64", "64-128", "1KiB", "64MiB", "64:70,1KiB:25,2KiB-64KiB:5"} {
		if s, err := load.ParseSizes(good); err != nil || s.String() != good {
			t.Errorf("%q: %v", good, err)
		}
	}
}
