package proxy_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
)

// A child process of the benchmark has this variable: the backend's URL.
const childVar = "OTELWS_BENCH_PROXY"

// BenchmarkEcho is the round trip of a message without a proxy, through this
// one in a process of its own, and through nginx where there is one, with
// benchConns connections at a time. cpu-us/op is what the proxy's process used
// for a message, both ways.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64, 16 << 10} {
		echo := startEcho(b)
		for _, via := range []struct {
			name  string
			start func(testing.TB, string) (string, int)
		}{
			{"direct", func(_ testing.TB, address string) (string, int) { return address, 0 }},
			{"otelws", startChildProxy},
			{"nginx", startNginx},
		} {
			b.Run(fmt.Sprintf("%s/%d", via.name, size), func(b *testing.B) {
				address, pid := via.start(b, echo)
				benchmarkEcho(b, address, pid, size)
			})
		}
	}
}

const benchConns = 20

func benchmarkEcho(b *testing.B, address string, pid, size int) {
	message := frame(fin|opBinary, make([]byte, size))
	answer := len(appendFrame(fin|opBinary, nil, make([]byte, size)))
	wires := make([]*wire, benchConns)
	for i := range wires {
		wires[i] = openWire(b, address, "/")
		_ = wires[i].SetDeadline(time.Now().Add(time.Minute))
		check(b, roundTrip(wires[i], message, answer))
	}
	before := cpuTime(b, pid)
	b.ResetTimer()
	var all sync.WaitGroup
	for i, w := range wires {
		all.Go(func() {
			for n := i; n < b.N; n += benchConns {
				if err := roundTrip(w, message, answer); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	if pid != 0 {
		b.ReportMetric(float64((cpuTime(b, pid)-before).Microseconds())/float64(b.N), "cpu-us/op")
	}
}

func roundTrip(w *wire, message []byte, answer int) error {
	if _, err := w.Write(message); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, w.br, int64(answer))
	return err
}

// startEcho sends back each message, and does as little as possible for it.
func startEcho(b *testing.B) string {
	address, _ := rawBackend(b, switchTo(func(c net.Conn, br *bufio.Reader) {
		w := &wire{Conn: c, br: br}
		for {
			head, err := br.Peek(4)
			if err != nil {
				return
			}
			n, skip := int(head[1]&0x7f), 2
			if n == 126 {
				n, skip = int(binary.BigEndian.Uint16(head[2:])), 4
			}
			_, _ = br.Discard(skip + len(maskKey))
			payload := make([]byte, n)
			if _, err := io.ReadFull(br, payload); err != nil {
				return
			}
			if _, err := w.Write(appendFrame(fin|opBinary, nil, payload)); err != nil {
				return
			}
		}
	}))
	return address
}

func startChildProxy(tb testing.TB, backend string) (address string, pid int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"=http://"+backend)
	out, err := cmd.StdoutPipe()
	check(tb, err)
	in, err := cmd.StdinPipe()
	check(tb, err)
	check(tb, cmd.Start())
	tb.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	check(tb, err)
	return strings.TrimSpace(line), cmd.Process.Pid
}

// childProxy serves until its input ends.
func childProxy(backend string) {
	ws, err := otelws.New(otelws.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))))
	if err != nil {
		panic(err)
	}
	p, err := proxy.New(proxy.Config{Backend: backend, WebSockets: ws})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = p.Serve(context.Background(), l) }()
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/pid;
error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[1]s;
	proxy_temp_path %[1]s;
	fastcgi_temp_path %[1]s;
	uwsgi_temp_path %[1]s;
	scgi_temp_path %[1]s;
	server {
		listen %[2]s;
		location / {
			proxy_pass http://%[3]s;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_set_header Host $host;
		}
	}
}
`

func startNginx(tb testing.TB, backend string) (address string, pid int) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		tb.Skip("needs nginx")
	}
	free := listenLocal(tb)
	free.Close()
	address = free.Addr().String()
	dir := tb.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	check(tb, os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, address, backend), 0o600))
	cmd := exec.Command(path, "-p", dir, "-c", config, "-e", filepath.Join(dir, "error.log"))
	cmd.Stderr = os.Stderr
	check(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(tb, "nginx", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address, cmd.Process.Pid
}

// cpuTime is what a process has used.
func cpuTime(tb testing.TB, pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		tb.Skipf("needs /proc: %v", err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		check(tb, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}
