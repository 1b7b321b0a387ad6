package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// browser is a page in a headless Chromium, controlled over the DevTools protocol.
type browser struct {
	t       *testing.T
	conn    *websocket.Conn
	session string
	id      int
	log     []string // errors of the page
}

type devtoolsMessage struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser opens url. It skips the test if Chromium is not installed.
func startBrowser(t *testing.T, url string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium in the PATH")
	}
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), "about:blank")
	stderr, err := cmd.StderrPipe()
	check(t, err)
	check(t, cmd.Start())
	b := &browser{t: t}
	t.Cleanup(func() {
		if b.conn != nil {
			b.session = ""
			_, _ = b.try("Browser.close", nil)
			b.conn.CloseNow()
		} else {
			_ = cmd.Process.Kill()
		}
		stuck := time.AfterFunc(waitLimit, func() { _ = cmd.Process.Kill() })
		defer stuck.Stop()
		_, _ = io.Copy(io.Discard, stderr)
		_ = cmd.Wait()
	})

	b.conn, _, err = websocket.Dial(testContext(t), devtoolsURL(t, stderr), nil)
	check(t, err)
	b.conn.SetReadLimit(-1)
	var target struct{ TargetID, SessionID string }
	b.call("Target.createTarget", params{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", params{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	b.call("Page.enable", nil, nil)
	b.call("Runtime.enable", nil, nil)
	b.call("Log.enable", nil, nil)
	b.call("Page.navigate", params{"url": url}, nil)
	return b
}

type params = map[string]any

func devtoolsURL(t *testing.T, stderr io.Reader) string {
	t.Helper()
	var seen []string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if url, ok := strings.CutPrefix(lines.Text(), "DevTools listening on "); ok {
			return url
		}
		seen = append(seen, lines.Text())
	}
	t.Fatalf("chromium did not start:\n%s", strings.Join(seen, "\n"))
	return ""
}

func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	raw, err := b.try(method, params)
	if err == nil && result != nil {
		err = json.Unmarshal(raw, result)
	}
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

// try calls a method and waits for its answer.
func (b *browser) try(method string, params any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	b.id++
	err := wsjson.Write(ctx, b.conn, devtoolsMessage{ID: b.id, SessionID: b.session, Method: method, Params: params})
	for err == nil {
		var m devtoolsMessage
		if err = wsjson.Read(ctx, b.conn, &m); err != nil {
			break
		}
		switch {
		case m.ID == b.id && m.Error != nil:
			return nil, errors.New(m.Error.Message)
		case m.ID == b.id:
			return m.Result, nil
		case m.Method == "Runtime.exceptionThrown" || m.Method == "Log.entryAdded":
			b.log = append(b.log, fmt.Sprint(m.Params))
		}
	}
	return nil, err
}

// eval returns the awaited value of a JavaScript expression, as T.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	var result struct {
		Result           struct{ Value T }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.call("Runtime.evaluate", params{"expression": expression, "awaitPromise": true, "returnByValue": true}, &result)
	if e := result.ExceptionDetails; e != nil {
		b.t.Fatalf("%s: %s", expression, e.Exception.Description)
	}
	return result.Result.Value
}

// waitUntil evaluates a condition until it is true.
func (b *browser) waitUntil(condition string) {
	b.t.Helper()
	for deadline := time.Now().Add(waitLimit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if eval[bool](b, "Boolean("+condition+")") {
			return
		}
	}
	b.t.Fatalf("gave up waiting for %s, with the page\n%s\nand its log %v", condition,
		eval[string](b, "document.body.innerText"), b.log)
}

// click sends a mouse click to the middle of the element.
func (b *browser) click(selector string) {
	b.t.Helper()
	at := eval[struct{ X, Y float64 }](b, fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		element.scrollIntoView({block: "center"});
		const box = element.getBoundingClientRect();
		return {x: box.x + box.width / 2, y: box.y + box.height / 2};
	})()`, selector))
	for _, event := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", params{"type": event, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// fill sets the value of a field.
func (b *browser) fill(selector, value string) {
	b.t.Helper()
	eval[any](b, fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.value = %q;
		field.dispatchEvent(new Event("input", {bubbles: true}));
		field.dispatchEvent(new Event("change", {bubbles: true}));
	})()`, selector, value))
}
