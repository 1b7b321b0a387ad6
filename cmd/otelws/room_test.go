package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/coder/websocket"
)

func TestRoomBroadcasts(t *testing.T) {
	r := startDemo(t, demo{})
	var members []*websocket.Conn
	for i, text := range [][]byte{[]byte("one"), []byte("two"), []byte("three")} {
		sender := r.dial(t, "/room")
		check(t, sender.Write(testContext(t), websocket.MessageText, text))
		if _, got, err := sender.Read(testContext(t)); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("member %d hears itself say %q, %v; want %q", i, got, err, text)
		}
		for j, m := range members {
			if typ, got, err := m.Read(testContext(t)); err != nil || typ != websocket.MessageText || !bytes.Equal(got, text) {
				t.Fatalf("member %d hears %v %q, %v; want %q", j, typ, got, err, text)
			}
		}
		members = append(members, sender)
	}
	r.waitForValue(t, `ws_connections_active{http_route="/room"}`, 3)
}

func TestRoomSendsSlowReaderAway(t *testing.T) {
	r := startDemo(t, demo{})
	slow := r.dial(t, "/room")
	check(t, slow.Write(testContext(t), websocket.MessageText, []byte("here")))
	if _, _, err := slow.Read(testContext(t)); err != nil {
		t.Fatal(err)
	}

	// The text is far longer than the kernel and the queue can hold, and all of it is
	// echoed.
	talker := r.dial(t, "/room")
	text := make([]byte, 30_000)
	for range 120 {
		check(t, talker.Write(testContext(t), websocket.MessageBinary, text))
		if _, got, err := talker.Read(testContext(t)); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("the talker hears %d bytes, %v", len(got), err)
		}
	}

	var err error
	for err == nil {
		_, _, err = slow.Read(testContext(t))
	}
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusTryAgainLater || closed.Reason == "" {
		t.Errorf("the slow reader was left with %v, want close code 1013 and a reason", err)
	}
	r.waitForValue(t, `ws_connections_closed_total{code="1013",http_route="/room"}`, 1)
	r.waitForValue(t, `ws_connections_active{http_route="/room"}`, 1)
	if v := r.scrape(t)["ws_write_time_seconds_total"]; v == 0 {
		t.Error("no time was spent in writes")
	}
}
