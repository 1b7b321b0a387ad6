package otelws_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otelws/otelws-go/otelws"
)

const namespaceEnv = "OTELWS_NAMESPACE"

// Two hosts, each a network namespace, lose all packets because the link between them
// goes down. The test needs the right to make namespaces, and is skipped without it.
func TestLinkDown(t *testing.T) {
	if os.Getenv(namespaceEnv) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLinkDown$", "-test.v")
		cmd.Env = append(os.Environ(), namespaceEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		switch {
		case cmd.ProcessState == nil, strings.Contains(string(out), "--- SKIP"):
			t.Skipf("network namespaces cannot be made here: %v\n%s", err, out)
		case err != nil:
			t.Errorf("the test in the namespaces: %v\n%s", err, out)
		}
		return
	}

	const near, far = "near", "far" // names of the links
	namespace := fmt.Sprintf("otelws-%d", os.Getpid())
	ip := func(args string) error {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return nil
	}
	if err := ip("netns add " + namespace); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = ip("netns del " + namespace) })
	for _, args := range []string{
		"link add " + near + " type veth peer name " + far + " netns " + namespace,
		"addr add 10.111.0.1/30 dev " + near,
		"link set " + near + " up",
		"-n " + namespace + " addr add 10.111.0.2/30 dev " + far,
		"-n " + namespace + " link set " + far + " up",
	} {
		if err := ip(args); err != nil {
			t.Skip(err)
		}
	}
	l, err := net.Listen("tcp", "10.111.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ws, m := newInstrumentation(t)
	s := &http.Server{Handler: pushing(ws, 0, otelws.Every(500*time.Millisecond))}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })

	startPeer(t, m, "http://"+l.Addr().String(), "ip", "netns", "exec", namespace)
	atLeast(t, m, rtt, 1)
	if err := ip("link set " + near + " down"); err != nil {
		t.Fatal(err)
	}
	m.Wait(t, timeouts, 1)
	atLeast(t, m, missed, 2)
	m.Wait(t, "ws_connections_active", 0)
}
