package otelws_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

const overheadConns = 50

// BenchmarkOverhead measures the CPU time that a server spends on one echoed message
// with 50 open connections. The variants take turns, and the clients are in another
// process. It reports medians over the rounds: -benchtime 12x makes twelve.
func BenchmarkOverhead(b *testing.B) {
	for _, size := range []struct {
		name            string
		bytes, messages int
	}{{"64B", 64, 20_000}, {"16KiB", 16 << 10, 4_000}} {
		b.Run(size.name, func(b *testing.B) {
			cpu := make([][]float64, len(instrumentations))
			var clients []*echoClients
			for _, i := range instrumentations {
				clients = append(clients, startEchoClients(b, serve(b, i.handler(b, echo)), overheadConns, size.bytes))
			}
			for _, c := range clients {
				c.run(b, size.messages)
			}
			for round := 0; b.Loop(); round++ {
				for k := range clients {
					k = (k + round) % len(clients)
					before := cpuTime(b)
					clients[k].run(b, size.messages)
					cpu[k] = append(cpu[k], (cpuTime(b)-before).Seconds()*1e6/float64(size.messages))
				}
			}
			b.ReportMetric(0, "ns/op")
			for k, i := range instrumentations {
				b.ReportMetric(median(cpu[k]), i.name+"-cpu-µs/msg")
				if k > 0 {
					b.ReportMetric(median(ratios(cpu[k], cpu[0])), i.name+"/"+instrumentations[0].name)
				}
			}
		})
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return r
}

// echoClients is a process with clients of one server.
type echoClients struct {
	in  io.Writer
	out *bufio.Reader
}

const echoClientsEnv = "OTELWS_ECHO_CLIENTS"

func startEchoClients(b *testing.B, url string, conns, size int) *echoClients {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestEchoClients$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", echoClientsEnv, url, conns, size))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &echoClients{in, bufio.NewReader(out)}
}

// listen, in place of a number of messages, tells the clients to read from now on.
const listen = -1

// run has messages echoed, spread over the connections.
func (c *echoClients) run(b *testing.B, messages int) {
	b.Helper()
	fmt.Fprintln(c.in, messages)
	if line, err := c.out.ReadString('\n'); line != "done\n" {
		b.Fatalf("the clients answered %q, %v", line, err)
	}
}

// TestEchoClients is no test: it is the process of the clients.
func TestEchoClients(t *testing.T) {
	env, ok := os.LookupEnv(echoClientsEnv)
	if !ok {
		t.Skip("BenchmarkOverhead runs it")
	}
	var url string
	var n, size int
	fmt.Sscan(env, &url, &n, &size)
	ctx := context.Background()
	conns := make([]*websocket.Conn, n)
	for i := range conns {
		c, _, err := websocket.Dial(ctx, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		conns[i] = c
	}
	message := []byte(strings.Repeat("x", size))
	for {
		var messages int
		if _, err := fmt.Scan(&messages); err != nil {
			return
		}
		var all sync.WaitGroup
		for _, c := range conns {
			if messages == listen {
				c.CloseRead(ctx)
				continue
			}
			all.Go(func() {
				for range messages / len(conns) {
					if err := c.Write(ctx, websocket.MessageBinary, message); err != nil {
						t.Error(err)
						return
					}
					if _, _, err := c.Read(ctx); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		fmt.Println("done")
	}
}
