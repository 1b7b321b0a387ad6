package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
)

// errAbsent means that a program is not installed.
var errAbsent = errors.New("it is not installed")

// runningProxy is a process in front of the backend.
type runningProxy struct {
	name, address string
	cmd           *exec.Cmd
	dir           string // directory of its files
	scrape        *scraper
	counts        load.Counts
}

// start starts a program, which ends with ctx.
func (p *runningProxy) start(ctx context.Context, stderr io.Writer, path string, args ...string) (stdout io.Reader, err error) {
	p.cmd = exec.CommandContext(ctx, path, args...)
	p.cmd.Stderr = stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("failed to start %s: %w", p.name, err)
	}
	return out, nil
}

func (p *runningProxy) stop() {
	p.scrape.client.CloseIdleConnections()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.dir)
}

// cpu returns the CPU time of the process, summed over all its threads.
func (p *runningProxy) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("failed to read the CPU time of %s: %w", p.name, err)
	}
	// The name in parentheses may hold anything. User and system time are the 12th and 13th after it.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("failed to read the CPU time of %s: %q", p.name, stat)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2) // USER_HZ is 100
}

func startOtelws(ctx context.Context, o *proxiesOptions, backend string) (p *runningProxy, err error) {
	p = &runningProxy{name: "otelws"}
	if p.dir, err = os.MkdirTemp("", "benchmark-"); err != nil {
		return nil, err
	}
	program := o.otelws
	if program == "" {
		program = filepath.Join(p.dir, "otelws")
		out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/otelws/otelws-go/cmd/otelws").CombinedOutput()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("failed to build otelws: %w: %s", err, out), os.RemoveAll(p.dir))
		}
	}
	out, err := p.start(ctx, io.Discard, program, "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", "http://"+backend, "--drain.timeout", "0s")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	var metrics string
	for lines := bufio.NewScanner(out); metrics == "" && lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) < 2:
		case words[0] == "Proxy:":
			p.address = strings.TrimPrefix(words[1], "http://")
		case words[0] == "Metrics:":
			metrics = words[1]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	p.scrape = newScraper(metrics)
	if p.address == "" || metrics == "" {
		p.stop()
		return nil, errors.New("otelws did not say where it listens")
	}
	return p, nil
}

// startConfigured starts a program with its own configuration file, and waits until
// it listens.
func startConfigured(ctx context.Context, name, backend string, config func(dir, listen string) string, args func(dir, file string) []string) (*runningProxy, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, errAbsent)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &runningProxy{name: name, address: free.Addr().String(), scrape: newScraper("")}
	free.Close()
	if p.dir, err = os.MkdirTemp("", "benchmark-"); err != nil {
		return nil, err
	}
	file := filepath.Join(p.dir, name+".conf")
	if err := os.WriteFile(file, []byte(config(p.dir, p.address)), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	var said strings.Builder
	if _, err := p.start(ctx, &said, path, args(p.dir, file)...); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", p.address)
		if err == nil {
			c.Close()
			return p, nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			p.stop()
			return nil, fmt.Errorf("%s does not listen: %s", name, strings.Join(strings.Fields(said.String()), " "))
		}
	}
}

func startHAProxy(ctx context.Context, o *proxiesOptions, backend string) (*runningProxy, error) {
	return startConfigured(ctx, "haproxy", backend, func(_, listen string) string {
		return fmt.Sprintf(`global
	maxconn 4000
	nbthread %d
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
listen proxy
	bind %s
	server backend %s
`, o.procs, listen, backend)
	}, func(_, file string) []string { return []string{"-db", "-f", file} })
}

func startNginx(ctx context.Context, _ *proxiesOptions, backend string) (*runningProxy, error) {
	return startConfigured(ctx, "nginx", backend, func(dir, listen string) string {
		return fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log %[1]s/error.log;
events { worker_connections 4000; }
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
			proxy_read_timeout 1h;
		}
	}
}
`, dir, listen, backend)
	}, func(dir, file string) []string {
		return []string{"-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}
	})
}
