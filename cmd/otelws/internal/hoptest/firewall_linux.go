package hoptest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Firewall is a Linux firewall between two hosts, each in a network namespace. It
// forgets connections after a silence, and drops packets that belong to no
// connection, like a NAT.
type Firewall struct {
	Client, Server string // the namespaces
	Address        string // address of the server's host
}

// StartFirewall starts a firewall. It skips the test if this needs more privileges.
func StartFirewall(t testing.TB, idle time.Duration) Firewall {
	t.Helper()
	name := func(host string) string { return fmt.Sprintf("otelws-%d-%s", os.Getpid(), host) }
	f := Firewall{Client: name("client"), Server: name("server"), Address: "10.113.0.6"}
	router := name("router")
	do := func(line string) {
		t.Helper()
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Skipf("no firewall here: %s: %v: %s", line, err, out)
		}
	}
	for _, namespace := range []string{f.Client, router, f.Server} {
		do("ip netns add " + namespace)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", namespace).Run() })
	}
	for i, host := range []string{f.Client, f.Server} {
		far, near := fmt.Sprintf("10.113.0.%d", 4*i+2), fmt.Sprintf("10.113.0.%d", 4*i+1)
		do(fmt.Sprintf("ip -n %s link add to%d type veth peer name out netns %s", router, i, host))
		do(fmt.Sprintf("ip -n %s addr add %s/30 dev to%d", router, near, i))
		do(fmt.Sprintf("ip -n %s link set to%d up", router, i))
		do(fmt.Sprintf("ip -n %s addr add %s/30 dev out", host, far))
		do(fmt.Sprintf("ip -n %s link set out up", host))
		do(fmt.Sprintf("ip -n %s link set lo up", host))
		do(fmt.Sprintf("ip -n %s route add default via %s", host, near))
	}
	in := "ip netns exec " + router + " "
	for _, rule := range []string{
		"-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
		"-p tcp --syn -m conntrack --ctstate NEW -j ACCEPT",
		"-j DROP",
	} {
		do(in + "iptables -A FORWARD " + rule)
	}
	// The firewall must not accept a forgotten connection again.
	do(in + "sysctl -q -w net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_tcp_loose=0 " +
		fmt.Sprintf("net.netfilter.nf_conntrack_tcp_timeout_established=%.0f", idle.Seconds()))
	return f
}

// Command returns a command that runs in a namespace.
func (f Firewall) Command(namespace string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", namespace}, args...)...)
}
