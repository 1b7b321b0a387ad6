package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// Scrapers that read nothing, send requests without end, or send a header of a
// megabyte do not block the WebSockets, and do not block later scrapes.
func TestScrapersThatMisbehave(t *testing.T) {
	r := startDemo(t, demo{})
	c := r.dial(t, "/echo")
	const echoes = 200
	echoed := make(chan error, 1)
	go func() {
		for i := range echoes {
			message := fmt.Sprint(i)
			if err := c.Write(testContext(t), websocket.MessageText, []byte(message)); err != nil {
				echoed <- err
				return
			}
			if _, b, err := c.Read(testContext(t)); err != nil || string(b) != message {
				echoed <- fmt.Errorf("echo of %q: %q, %w", message, b, err)
				return
			}
		}
		echoed <- nil
	}()

	u, err := url.Parse(r.metrics)
	check(t, err)
	var scrapers sync.WaitGroup
	for range 200 {
		scrapers.Go(func() {
			resp, err := http.Get(r.metrics)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a scrape was answered %s", resp.Status)
			}
		})
	}
	for i := range 50 {
		nc, err := net.Dial("tcp", u.Host)
		check(t, err)
		defer nc.Close()
		request := "GET /metrics HTTP/1.1\r\nHost: x\r\n"
		if i%2 == 0 {
			request += "X-Large: " + strings.Repeat("x", 1<<20)
		}
		scrapers.Go(func() { _, _ = io.WriteString(nc, request+"\r\n\r\n") }) // reads nothing
	}
	check(t, <-echoed)
	scrapers.Wait()
	http.DefaultClient.CloseIdleConnections()
	r.waitForValue(t, "ws_message_bytes_count", echoes)
}
