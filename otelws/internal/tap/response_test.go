package tap

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
)

const response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

// The tap keeps the bytes that a peer sends before the response, up to a limit. Above
// the limit it drops them and stops watching.
func TestEarlyBytesAreBounded(t *testing.T) {
	for _, n := range []int{1, 8 << 20} {
		f, c := newFacts(), new(Conn)
		app := c.Watch(&scripted{read: make([]byte, maxEarly+n)}, true, f, nil)
		if b, err := io.ReadAll(app); len(b) != maxEarly+n || err != nil {
			t.Errorf("the application read %d bytes, %v", len(b), err)
		}
		if c.watching() || len(f.refused) != 1 {
			t.Errorf("%d bytes above the limit: watching %v, refused %v", n, c.watching(), f.refused)
		}
		if _, err := io.WriteString(app, response); err != nil || f.opened != 0 {
			t.Errorf("writing the response: %v; opened %d", err, f.opened)
		}
	}
}

// racing is a transport whose Read and Write return when the test lets them.
type racing struct {
	read, write chan struct{}
	err         error
}

func (r *racing) Read([]byte) (int, error) {
	<-r.read
	return 0, r.err
}

func (r *racing) Write(p []byte) (int, error) {
	<-r.write
	return len(p), nil
}
func (*racing) Close() error { return nil }

// While the response goes out, a failed Read, a Close and a Write may come in any
// order. The handshake still has exactly one result.
func TestWhileTheResponseGoesOut(t *testing.T) {
	for i := range 2000 {
		transport := &racing{make(chan struct{}), make(chan struct{}), io.EOF}
		f, c := newFacts(), new(Conn)
		app := c.Watch(transport, true, f, nil)
		var all sync.WaitGroup
		all.Go(func() { _, _ = app.Read(make([]byte, 10)) })
		all.Go(func() {
			_, _ = io.WriteString(app, response)
			_, _ = app.Write([]byte("\x81\x01x"))
		})
		if i%3 == 1 {
			all.Go(func() { _, _ = app.Write([]byte("\x81\x01y")) })
		}
		if i%3 == 2 {
			all.Go(func() { _ = app.Close() })
		}
		all.Go(func() { close(transport.read) })
		all.Go(func() { close(transport.write) })
		all.Wait()
		_ = app.Close()
		if len(f.faults) > 0 {
			t.Fatalf("faults %v", f.faults)
		}
		if f.opened+len(f.refused) != 1 {
			t.Fatalf("opened %d, refused %v; want one of the two", f.opened, f.refused)
		}
		if f.opened == 1 {
			<-f.ended
		}
	}
}

// A slow Recorder does not delay a Read.
func TestOpeningHoldsNobodyUp(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	f, c := newFacts(), new(Conn)
	opening, proceed := make(chan struct{}), make(chan struct{})
	f.onOpening = func() { close(opening); <-proceed }
	app := c.WatchConn(near, true, f, nil)
	defer app.Close()
	opened := make(chan struct{})
	go func() { c.Open(switching); close(opened) }()
	<-opening
	go func() { _, _ = io.WriteString(far, "\x81\x81\x00\x00\x00\x00a") }()
	if n, err := app.Read(make([]byte, 100)); n != 7 || err != nil {
		t.Errorf("Read returned %d, %v; want 7 bytes", n, err)
	}
	close(proceed)
	<-opened
	if n := c.session.Load().inbound.passed.Messages(); n != 1 {
		t.Errorf("%d messages received, want 1", n)
	}
}

// A deadline that passes before the response does not refuse the handshake.
func TestDeadlineBeforeTheResponse(t *testing.T) {
	f, c := newFacts(), new(Conn)
	app := c.Watch(&failing{err: os.ErrDeadlineExceeded}, true, f, nil)
	_, err := app.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) || !c.watching() {
		t.Errorf("Read returned %v; watching %v", err, c.watching())
	}
}

type failing struct {
	scripted
	err error
}

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
