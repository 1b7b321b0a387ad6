//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hoptest"
	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

// hops are proxies with limits in seconds. Each runs between a client and a server
// with metrics.
var hops = []struct {
	name  string
	start func(t testing.TB, server string, idle time.Duration) string
}{
	{"nginx", hoptest.StartNginx},
	{"HAProxy", hoptest.StartHAProxy},
	{"relay", func(t testing.TB, server string, idle time.Duration) string {
		return hoptest.Relay{Idle: idle, How: hoptest.Resetting}.Start(t, server)
	}},
}

// probe finds the limit of a hop from outside, and check finds it in the server's
// metrics.
func TestHops(t *testing.T) {
	t.Parallel()
	for _, hop := range hops {
		for _, seconds := range []int{3, 5, 7} {
			t.Run(fmt.Sprintf("%s after %d s", hop.name, seconds), func(t *testing.T) {
				t.Parallel()
				server := startChild(t)
				address := hop.start(t, strings.TrimPrefix(server.url, "ws://"), time.Duration(seconds)*time.Second)
				silent := openSilent(t, "ws://"+address+"/echo", 12)
				wantLimit(t, "ws://"+address+"/echo", probe.OnSilence, seconds)
				silent.Wait()
				server.waitFor(t, "the cut connections", func(s samples) bool {
					return s[`ws_connections_closed_total{code="1006",http_route="/echo"}`] >= 12
				})
				said := checkText(t, server.metrics)
				at := regexp.MustCompile(`1006 had been silent for ([\d.]+) s: a hop in between probably has this limit`).FindStringSubmatch(said)
				if at == nil {
					t.Fatalf("check names no limit: %s", said)
				}
				if v, _ := strconv.ParseFloat(at[1], 64); math.Abs(v-float64(seconds)) > .5 {
					t.Errorf("check names %s s, want %d", at[1], seconds)
				}
			})
		}
	}
}

// openSilent opens connections that only read, and waits for their end.
func openSilent(t *testing.T, url string, n int) *sync.WaitGroup {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		c, _, err := websocket.Dial(testContext(t), url, nil)
		check(t, err)
		all.Go(func() {
			defer c.CloseNow()
			_, _, _ = c.Read(testContext(t))
		})
	}
	return &all
}

// wantLimit checks that probe finds one limit. It repeats the probe if a busy machine
// delayed it.
func wantLimit(t *testing.T, url, on string, seconds int) {
	t.Helper()
	var r probe.Result
	for range 4 {
		var stdout, stderr bytes.Buffer
		code := run([]string{"probe", "--max", fmt.Sprintf("%ds", seconds*3/2+1), "--every", "500ms", "--timeout", "5s", "--format", "json", url}, &stdout, &stderr)
		if stderr.Len() > 0 {
			t.Fatalf("exit code %d, stderr %q", code, stderr.String())
		}
		r = probe.Result{}
		check(t, json.Unmarshal(stdout.Bytes(), &r))
		if want := min(1, len(r.Limits)); code != want {
			t.Errorf("exit code %d, want %d", code, want)
		}
		if len(r.Limits) == 1 && r.Limits[0].On == on && math.Abs(r.Limits[0].Seconds-float64(seconds)) < .06*float64(seconds) {
			return
		}
	}
	if r.Late > .05 {
		t.Skipf("the machine is too busy: its timers are %v s late", r.Late)
	}
	text, err := json.Marshal(r)
	check(t, err)
	t.Errorf("want a limit on %s of %d s in %s", on, seconds, text)
}

func checkText(t *testing.T, metrics string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run([]string{"check", "--interval", "0s", metrics}, &stdout, &stderr); code != 0 {
		t.Errorf("check: exit code %d, stderr %q", code, stderr.String())
	}
	return strings.Join(strings.Fields(stdout.String()), " ")
}

// If a hop drops connections silently before the server's first ping, there is no
// pong.
func TestHopThatDrops(t *testing.T) {
	t.Parallel()
	server := startChild(t, "--heartbeat", "3s")
	address := hoptest.Relay{Idle: 2 * time.Second, How: hoptest.Dropping}.Start(t, strings.TrimPrefix(server.url, "ws://"))
	for range 12 {
		c, _, err := websocket.Dial(testContext(t), "ws://"+address+"/echo", nil)
		check(t, err)
		defer c.CloseNow()
	}
	server.waitFor(t, "missed heartbeats", func(s samples) bool {
		return s[`ws_connections_closed_total{code="1006",http_route="/echo"}`] >= 12
	})
	said := checkText(t, server.metrics)
	if want := "pings had no answer, and 12 connections ended for this reason: a hop in between may silently drop connections"; !strings.Contains(said, want) {
		t.Errorf("check says nothing of %q: %s", want, said)
	}
}

// The result distinguishes a limit on age from a limit on silence.
func TestHopThatEndsAll(t *testing.T) {
	t.Parallel()
	server := startChild(t)
	address := hoptest.Relay{Life: 3 * time.Second}.Start(t, strings.TrimPrefix(server.url, "ws://"))
	wantLimit(t, "ws://"+address+"/echo", probe.OnAge, 3)
}
