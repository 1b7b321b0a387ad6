//go:build unix

package exporter_test

import (
	"bufio"
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

	"github.com/otelws/otelws-go/exporter"
)

// starvedVar is set in the child process that runs out of descriptors.
const starvedVar = "OTELWS_STARVED"

// starve serves a public listener and the metrics with few descriptors, until its
// input ends.
func starve(t *testing.T) {
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	exp, err := exporter.New()
	if err != nil {
		t.Fatal(err)
	}
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		fmt.Println("at", listeners[i].Addr())
	}
	go func() { _ = http.Serve(listeners[0], http.NotFoundHandler()) }()
	go func() { _ = exp.Serve(t.Context(), listeners[1]) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// Scrapes are answered when other connections use all other descriptors, and the
// metrics show it.
func TestScrapeWithoutDescriptors(t *testing.T) {
	if os.Getenv(starvedVar) != "" {
		starve(t)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestScrapeWithoutDescriptors$")
	cmd.Env = append(os.Environ(), starvedVar+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = cmd.Wait()
	}()
	var addresses []string
	for lines := bufio.NewScanner(out); len(addresses) < 2 && lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "at "); ok {
			addresses = append(addresses, address)
		}
	}
	if len(addresses) < 2 {
		t.Fatal("the process did not start")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	scrape := func() string {
		t.Helper()
		resp, err := client.Get("http://" + addresses[1] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("status %s, %v", resp.Status, err)
		}
		return string(body)
	}
	scrape()        // the server is up
	for range 300 { // the kernel accepts these connections, but the process cannot
		c, err := net.Dial("tcp", addresses[0])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	exhausted := fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		entries, err := os.ReadDir(exhausted)
		if err != nil {
			t.Skipf("needs /proc to see that there is no descriptor left: %v", err)
		}
		if len(entries) >= 64 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open", len(entries))
		}
	}
	told := 0
	for range 20 {
		if strings.Contains(scrape(), "\nprocess_open_fds 6") {
			told++
		}
	}
	if told == 0 {
		t.Error("no scrape has process_open_fds")
	}
}
