package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// The totals of top match the scrape, and its table has the connection.
func TestTopOnce(t *testing.T) {
	r := startDemo(t, demo{})
	c := r.dial(t, "/echo")
	for range 3 {
		check(t, c.Write(testContext(t), websocket.MessageText, []byte("hello")))
		_, _, err := c.Read(testContext(t))
		check(t, err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"top", "--once", "--format", "json", r.metrics}, &out, &errs); code != 0 {
		t.Fatalf("%d %s", code, errs.String())
	}
	var a struct {
		Total int
		Sums  map[string]any
	}
	check(t, json.Unmarshal(out.Bytes(), &a))
	scraped := r.scrape(t)
	for sum, series := range map[string]string{
		"messages_received": "ws_message_bytes_count",
		"messages_sent":     "ws_message_sent_bytes_count",
		"bytes_received":    `ws_io_bytes_total{network_io_direction="receive"}`,
		"bytes_sent":        `ws_io_bytes_total{network_io_direction="transmit"}`,
	} {
		if got, want := a.Sums[sum], scraped[series]; got != want || want == 0 {
			t.Errorf("%s is %v, %s %v", sum, got, series, want)
		}
	}
	if active := scraped[`ws_connections_active{http_route="/echo"}`]; a.Total != 1 || active != 1 {
		t.Errorf("%d are open, the gauge is %v", a.Total, active)
	}
	out.Reset()
	if code := run([]string{"top", "--once", "--filter", "/echo", "--sort", "idle", strings.TrimSuffix(r.metrics, "/metrics")}, &out, &errs); code != 0 {
		t.Fatalf("%d %s", code, errs.String())
	}
	if got := out.String(); !strings.HasPrefix(got, "1 open, received 33B in 3 messages") || !strings.Contains(got, "IDLE*") || !strings.Contains(got, "/echo  server") {
		t.Errorf("the table is\n%s", got)
	}
	check(t, c.Close(websocket.StatusNormalClosure, ""))
}

func TestTopRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"":                                "the address of the metrics",
		"--once ftp://localhost":          "http://localhost:9091",
		"--once --sort size localhost":    "received",
		"--once -n 0 localhost":           "--number 0",
		"--format json localhost":         "--once",
		"--interval 1ms localhost":        "--interval 1ms",
		"--once --timeout 0s localhost":   "--timeout 0s",
		"localhost":                       "not a terminal",
		"--once http://127.0.0.1:1":       "refused",
		"--once --role nobody localhost":  "server",
		"--once --http.config.file /none": "the address",
	} {
		var out, errs bytes.Buffer
		if code := run(append([]string{"top"}, strings.Fields(args)...), &out, &errs); code != 1 || !strings.Contains(errs.String(), want) {
			t.Errorf("top %s: %d %s, without %q", args, code, errs.String(), want)
		}
	}
}
