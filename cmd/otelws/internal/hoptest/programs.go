package hoptest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// StartNginx starts an nginx with a limit on silence, and returns its address. It
// skips the test if nginx is not installed.
func StartNginx(t testing.TB, server string, idle time.Duration) (address string) {
	t.Helper()
	return start(t, "nginx", func(dir, listen string) string {
		return fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
events { worker_connections 1000; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		location / {
			proxy_pass http://%[3]s;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_set_header Host $host;
			proxy_read_timeout %[4]dms;
		}
	}
}
`, dir, listen, server, idle.Milliseconds())
	}, func(dir, file string) []string {
		return []string{"-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}
	})
}

// StartHAProxy does the same with HAProxy.
func StartHAProxy(t testing.TB, server string, idle time.Duration) (address string) {
	t.Helper()
	return start(t, "haproxy", func(_, listen string) string {
		return fmt.Sprintf(`global
	maxconn 1000
	nbthread 1
defaults
	mode http
	timeout connect 5s
	timeout client 1m
	timeout server 1m
	timeout tunnel %dms
listen proxy
	bind %s
	server backend %s
`, idle.Milliseconds(), listen, server)
	}, func(_, file string) []string { return []string{"-db", "-f", file} })
}

// start starts a program with its own configuration, and waits until it listens.
func start(t testing.TB, name string, config func(dir, listen string) string, args func(dir, file string) []string) (address string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s", name)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	_ = free.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(config(dir, address)), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.Command(path, args(dir, file)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return address
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", name, said.String())
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatalf("%s does not listen", name)
		}
	}
}
