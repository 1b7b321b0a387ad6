//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// The test runs itself as the example, on addresses from the environment.
const addressesVar = "ECHO_TEST_ADDRESSES"

func TestMain(m *testing.M) {
	if addresses := os.Getenv(addressesVar); addresses != "" {
		address, metricsAddress, _ = strings.Cut(addresses, " ")
		main()
		return
	}
	os.Exit(m.Run())
}

func TestEcho(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	at, metricsAt := freeAddress(t), freeAddress(t)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), addressesVar+"="+at+" "+metricsAt)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for _, address := range []string{at, metricsAt} {
		waitFor(t, ctx, "listener", func() error {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err
		})
	}

	c, _, err := websocket.Dial(ctx, "ws://"+at+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := c.Read(ctx); err != nil || string(message) != "hello" {
		t.Fatalf("Read: %q, %v", message, err)
	}
	for _, sample := range []string{
		"ws_connections_active 1",
		"ws_connections_opened_total 1",
		`ws_connections_closed_total{code="1006"} 0`,
		`ws_message_bytes_bucket{le="64"} 1`,
		"ws_message_bytes_sum 5",
		"ws_message_sent_bytes_sum 5",
		"process_open_fds ",
	} {
		waitFor(t, ctx, sample, func() error {
			if metrics := scrape(t, ctx, metricsAt); !strings.Contains(metrics, "\n"+sample) {
				return fmt.Errorf("the scrape is\n%s", metrics)
			}
			return nil
		})
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("Read after SIGTERM: %v, want close code 1001", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func waitFor(t *testing.T, ctx context.Context, what string, try func() error) {
	t.Helper()
	for {
		err := try()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("no %s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func scrape(t *testing.T, ctx context.Context, address string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/metrics", address), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
