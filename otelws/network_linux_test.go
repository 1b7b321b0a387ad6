package otelws_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// near and far are the addresses of a network that returns its own packets. A
// connection to far reaches the listener on near.
const near, far = "10.112.0.1", "10.112.0.2"

// packet is an IP packet and its time of arrival.
type packet struct {
	due  time.Time
	data []byte
}

// newNetwork makes the network in the namespace of the process. Each packet takes
// delay, and one in lost packets is lost, or none if lost is 0. The test is skipped if
// the process may not make the network.
func newNetwork(t *testing.T, delay time.Duration, lost int) {
	t.Helper()
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("/dev/net/tun: %v", err)
	}
	const name = "far0"
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], name)
	request.flags = syscall.IFF_TUN | syscall.IFF_NO_PI
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request))); errno != 0 {
		_ = syscall.Close(fd)
		t.Skipf("TUNSETIFF: %v", errno)
	}
	tun := os.NewFile(uintptr(fd), name)
	for _, args := range []string{"addr add " + near + "/30 dev " + name, "link set " + name + " up"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			_ = tun.Close()
			t.Skipf("ip %s: %v: %s", args, err, out)
		}
	}
	var both sync.WaitGroup
	t.Cleanup(func() {
		_ = tun.Close()
		both.Wait()
	})
	onTheWay := make(chan packet, 4096)
	both.Go(func() {
		defer close(onTheWay)
		buf := make([]byte, 64<<10)
		for i := 1; ; i++ {
			n, err := tun.Read(buf)
			if err != nil {
				return
			}
			if p := buf[:n]; n >= 20 && p[0]>>4 == 4 && (lost == 0 || i%lost != 0) {
				onTheWay <- packet{time.Now().Add(delay), comeBack(p)}
			}
		}
	})
	both.Go(func() {
		for p := range onTheWay {
			time.Sleep(time.Until(p.due))
			_, _ = tun.Write(p.data)
		}
	})
}

// comeBack swaps the addresses of an IP packet, so that it returns. Its checksums stay
// right, because they are sums.
func comeBack(p []byte) []byte {
	back := append([]byte(nil), p...)
	copy(back[12:16], p[16:20])
	copy(back[16:20], p[12:16])
	return back
}

// listenNear listens on the network, and returns the address that reaches the listener.
func listenNear(t *testing.T) (l net.Listener, address string) {
	t.Helper()
	l, err := net.Listen("tcp", near+":0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, net.JoinHostPort(far, port)
}
