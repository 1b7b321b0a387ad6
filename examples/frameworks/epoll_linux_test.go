package frameworks

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// A server may wait for many connections with epoll. It takes the descriptor from NetConn, and reads
// and writes the connection of Hijack. The tap holds no byte back, so a readable socket is all that
// the server waits for.
func TestEpoll(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	w, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, w.Handler(newPoller(t)))
	converse(t, m, dial(t, address, 13))
	vanish(t, m, dial(t, address, 13))
}

// poller is an echo server that serves all connections with one goroutine.
type poller struct {
	t     *testing.T
	epoll int
	conns sync.Map // descriptor, as an int32 -> net.Conn
}

func newPoller(t *testing.T) *poller {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	p := &poller{t: t, epoll: fd}
	var stopped atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for !stopped.Load() {
			p.poll()
		}
	})
	t.Cleanup(func() {
		stopped.Store(true)
		running.Wait()
		p.conns.Range(func(_, c any) bool { _ = c.(net.Conn).Close(); return true })
		_ = syscall.Close(fd)
	})
	return p
}

func (p *poller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _, _, err := gobwas.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	if err := wsutil.WriteServerText(c, []byte(greeting)); err != nil {
		_ = c.Close()
		return
	}
	fd := descriptor(p.t, c)
	p.conns.Store(fd, c)
	if err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, int(fd), &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: fd}); err != nil {
		p.t.Error(err)
	}
}

func descriptor(t *testing.T, c net.Conn) (fd int32) {
	t.Helper()
	if tapped, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = tapped.NetConn()
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Error(err)
		return -1
	}
	_ = raw.Control(func(d uintptr) { fd = int32(d) })
	return fd
}

// poll reads one frame of each readable connection. It returns after a tenth of a second if there is
// none.
func (p *poller) poll() {
	var events [16]syscall.EpollEvent
	n, err := syscall.EpollWait(p.epoll, events[:], 100)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		p.t.Error(err)
	}
	for _, e := range events[:max(n, 0)] {
		c, ok := p.conns.Load(e.Fd)
		if !ok || echoFrame(c.(net.Conn)) == nil {
			continue
		}
		p.conns.Delete(e.Fd)
		_ = c.(net.Conn).Close() // this also takes it out of the epoll set
	}
}

func echoFrame(c net.Conn) error {
	h, err := gobwas.ReadHeader(c)
	if err != nil {
		return err
	}
	if h.OpCode.IsControl() {
		return wsutil.ControlHandler{Src: io.LimitReader(c, h.Length), Dst: c, State: gobwas.StateServerSide}.Handle(h)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c, payload); err != nil {
		return err
	}
	gobwas.Cipher(payload, h.Mask, 0)
	return gobwas.WriteFrame(c, gobwas.NewFrame(h.OpCode, h.Fin, payload))
}
