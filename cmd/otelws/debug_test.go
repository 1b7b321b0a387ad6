package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// The demo and the proxy show their connections beside the metrics. They refuse
// requests for a foreign host name that points to this machine.
func TestDebugPages(t *testing.T) {
	for name, r := range map[string]*running{
		"demo":  startDemo(t, demo{}),
		"proxy": startProxy(t, "--backend", startEcho(t).URL, "--route", "/echo", "--debug.host", "ws-1.internal"),
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(t, "/echo")
			check(t, c.Write(testContext(t), websocket.MessageText, []byte("hello")))
			_, _, err := c.Read(testContext(t))
			check(t, err)
			base := strings.TrimSuffix(r.metrics, "/metrics")
			get := func(host, path string) (int, string) {
				req, err := http.NewRequest(http.MethodGet, base+path, nil)
				check(t, err)
				if host != "" {
					req.Host = host
				}
				resp, err := http.DefaultClient.Do(req)
				check(t, err)
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				check(t, err)
				return resp.StatusCode, string(b)
			}
			status, body := get("", debugPath)
			var a struct {
				Total       int
				Connections []struct {
					Role, Remote string
					Attributes   map[string]string
				}
			}
			check(t, json.Unmarshal([]byte(body), &a))
			if status != http.StatusOK || a.Total == 0 || a.Connections[0].Attributes["http.route"] == "" && a.Connections[0].Role == "server" || !strings.HasPrefix(a.Connections[0].Remote, "127.0.0.1:") {
				t.Errorf("%d %s", status, body)
			}
			if status, _ := get("evil.example", debugPath); status != http.StatusForbidden {
				t.Errorf("by another name: %d", status)
			}
			named := http.StatusForbidden
			if name == "proxy" {
				named = http.StatusOK
			}
			if status, _ := get("ws-1.internal:9091", debugPath); status != named {
				t.Errorf("by its name: %d, want %d", status, named)
			}
			if _, landing := get("", "/"); !strings.Contains(landing, debugPath) {
				t.Errorf("no link:\n%s", landing)
			}
			check(t, c.Close(websocket.StatusNormalClosure, ""))
		})
	}
}
