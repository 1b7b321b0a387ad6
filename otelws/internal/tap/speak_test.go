package tap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// client returns a frame as a client sends it, masked.
func client(first byte, payload []byte) []byte {
	key := [4]byte{1, 2, 3, 4}
	b := []byte{first, 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		b = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
	}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i&3])
	}
	return b
}

// ownPong returns the pong to a ping of c.
func ownPong(c *Conn, number uint32) []byte {
	nonce := c.session.Load().speaking().nonce()
	return client(0x8a, binary.BigEndian.AppendUint32(nonce[:], number))
}

// The library does not read the pongs to the tap's pings. It reads everything else,
// whatever the sizes of the pieces and of its buffer.
func TestOwnPongsAreSwallowed(t *testing.T) {
	other, _, _ := open(t, new(scripted)) // a proxy passes the pings of another tap on
	for piece, size := 1, 1; piece <= size; piece++ {
		for _, room := range []int{1, 2, 3, 7, 17, 18, 19, 64, 4096} {
			transport := &pieces{size: piece}
			c, app, f := open(t, transport)
			almost := ownPong(c, 1)
			almost[8] ^= 1
			short := ownPong(c, 1)[:2+4+nonceSize]
			short[1] = 0x80 | nonceSize
			frames := [][]byte{
				client(0x81, []byte("hello")), ownPong(c, 1), client(0x8a, nil), almost, ownPong(c, 2), ownPong(c, 3), ownPong(other, 5),
				client(0x01, make([]byte, 300)), ownPong(c, 4), client(0x80, []byte("x")), short, client(0x8a, []byte("yours")), ownPong(c, 5),
			}
			transport.b = bytes.Join(frames, nil)
			size = len(transport.b)
			var want []byte
			for i, f := range frames {
				if !slices.Contains([]int{1, 4, 5, 8, 12}, i) {
					want = append(want, f...)
				}
			}
			c.session.Load().speaking().pinged.Store(6) // the sixth ping is never answered
			var got []byte
			buf := make([]byte, room)
			for {
				n, err := app.Read(buf)
				got = append(got, buf[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil || n == 0 {
					t.Fatalf("Read returned %d, %v", n, err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("in pieces of %d and buffers of %d, read\n%x, want\n%x", piece, room, got, want)
			}
			if e := <-f.ended; e.Received.Bytes() != int64(size) || e.Received.Messages() != 2 || len(f.errors) > 0 {
				t.Fatalf("%d bytes and %d messages were counted, with errors %v", e.Received.Bytes(), e.Received.Messages(), f.errors)
			}
		}
	}
}

// pieces is a transport whose Reads return at most size bytes of b.
type pieces struct {
	scripted
	b    []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.b[:min(p.size, len(p.b))])
	p.b = p.b[n:]
	return n, nil
}

// The tap holds back the beginning of a frame that may be a pong to its ping. It passes
// those bytes on at a deadline or at the end.
func TestHeldBackBytesAreNotLost(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c, app, _ := open(t, near)
	begun := ownPong(c, 1)[:9]
	c.session.Load().speaking().nextPing()
	go func() { _, _ = far.Write(begun) }()
	nc := app.(net.Conn)
	_ = nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := app.Read(make([]byte, 100)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read returned %d, %v; want an exceeded deadline", n, err)
	}
	_ = nc.SetReadDeadline(time.Time{})
	go far.Close()
	if b, err := io.ReadAll(iotest.OneByteReader(app)); !bytes.Equal(b, begun) || err != nil {
		t.Errorf("the library read %x, %v; want %x", b, err, begun)
	}
}

// choked is a transport that accepts takes bytes, and then times out.
type choked struct {
	scripted
	mu    sync.Mutex
	takes int
	got   bytes.Buffer
}

func (c *choked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), c.takes)
	c.takes -= n
	c.got.Write(p[:n])
	if n < len(p) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

func (c *choked) take(n int) (got []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes = n
	got = bytes.Clone(c.got.Bytes())
	c.got.Reset()
	return got
}

// opcodes returns the opcodes of the complete frames that a server has sent, and the
// bytes after them.
func opcodes(t *testing.T, b []byte) (all string, rest []byte) {
	t.Helper()
	p := frame.New(false, 0)
	for len(b) > 0 {
		f, n, ok, err := p.Next(b)
		if err != frame.None {
			t.Fatalf("invalid frame: %v in %x", err, b)
		}
		if !ok {
			return all, b
		}
		all += fmt.Sprintf("%x", f.Opcode)
		b = b[n:]
	}
	return all, nil
}

// impatient is a transport whose Reads return its pieces one by one, and time out if there is none.
// A Read into an empty buffer returns at once, as with a socket.
type impatient struct {
	scripted
	next [][]byte
}

func (s *impatient) Read(p []byte) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case len(s.next) == 0:
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, s.next[0])
	s.next = s.next[1:]
	return n, nil
}

// A Read into an empty buffer returns at once and loses no bytes, while the tap waits for a pong and
// while it holds back the beginning of one.
func TestEmptyRead(t *testing.T) {
	transport := new(impatient)
	c, app, _ := open(t, transport)
	c.Ping()
	pong := ownPong(c, 1)
	message := client(0x81, []byte("a"))
	for _, piece := range [][]byte{nil, pong[:7], append(pong[7:], message...)} {
		if piece != nil {
			transport.next = append(transport.next, piece)
		}
		if n, err := app.Read(nil); n != 0 || err != nil {
			t.Errorf("the empty Read returned %d, %v", n, err)
		}
		if len(piece) == 7 {
			if n, err := app.Read(make([]byte, 20)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read returned %d, %v; want an exceeded deadline", n, err)
			}
		}
	}
	b := make([]byte, 100)
	if n, err := app.Read(b); err != nil || !bytes.Equal(b[:n], message) {
		t.Errorf("the library read %x, %v; want %x", b[:n], err, message)
	}
}

// If the transport accepts only a part of the tap's ping, the rest goes out before
// anything else.
func TestOwnFrameInParts(t *testing.T) {
	for taken := range 2 + pingPayload {
		transport := &choked{takes: taken}
		c, app, _ := open(t, transport)
		c.Ping()
		first := transport.take(1 << 20)
		if len(first) != taken {
			t.Fatalf("the transport accepted %d bytes, want %d", len(first), taken)
		}
		if n, err := app.Write([]byte("\x82\x02ab")); n != 4 || err != nil {
			t.Fatalf("Write returned %d, %v; want 4", n, err)
		}
		if got, rest := opcodes(t, append(first, transport.take(0)...)); got != "92" || rest != nil {
			t.Errorf("after %d bytes, the peer has frames %q and the rest %x", taken, got, rest)
		}
	}
}

// If a Write holds several frames, a ping goes out after the first one.
func TestPingWithinAWrite(t *testing.T) {
	for name, tt := range map[string]struct{ writes, want string }{
		"between messages":            {"\x81\x01a", "91"},
		"behind a frame that goes on": {"\x82\x03a|bc\x81\x01a", "291"},
		"behind the first of three":   {"\x82\x03a|bc\x81\x01a\x81\x01b", "2911"},
		"between fragments":           {"\x02\x01a\x80|\x01b\x81\x01c", "2091"},
		"in a header":                 {"\x82|\x01a\x81\x01c", "291"},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &choked{takes: 1 << 20}
			c, app, _ := open(t, transport)
			before, after, ok := strings.Cut(tt.writes, "|")
			if !ok {
				before, after = "", before
			}
			write := func(s string) {
				if n, err := io.WriteString(app, s); n != len(s) || err != nil {
					t.Fatalf("Write returned %d, %v", n, err)
				}
			}
			if before != "" {
				write(before)
			}
			c.Ping()
			write(after)
			if got, rest := opcodes(t, transport.take(0)); got != tt.want || rest != nil {
				t.Errorf("the peer has frames %q and the rest %x, want %q", got, rest, tt.want)
			}
		})
	}
}

// A ping waits while a Write is in progress, and goes out after it.
func TestPingWaitsForAWrite(t *testing.T) {
	transport := &racing{read: make(chan struct{}), write: make(chan struct{}), err: io.EOF}
	c, app, _ := open(t, transport)
	done := make(chan struct{})
	go func() { _, _ = app.Write([]byte("\x81\x01a")); close(done) }()
	s := c.session.Load()
	for s.writing.Load().Number() == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Ping()
	if n := c.Signs().Pings; n != 0 {
		t.Error("the ping did not wait for the Write")
	}
	close(transport.write)
	<-done
	if n := c.Signs().Pings; n != 1 {
		t.Errorf("%d pings written, want 1", n)
	}
}

// deadlines is a transport that records its write deadline.
type deadlines struct {
	net.Conn
	mu   sync.Mutex
	last time.Time
	seen []bool // whether a Write had a deadline
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = t
	return nil
}
func (d *deadlines) SetDeadline(t time.Time) error { return d.SetWriteDeadline(t) }
func (d *deadlines) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, time.Until(d.last) > time.Minute)
	return len(p), nil
}

// The tap restores the application's write deadline after a ping.
func TestDeadlinesAreKeptApart(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	transport := &deadlines{Conn: near}
	c, app, _ := open(t, transport)
	for _, set := range []func(time.Time) error{app.(net.Conn).SetWriteDeadline, app.(net.Conn).SetDeadline} {
		mine := time.Now().Add(time.Hour)
		_ = set(mine)
		transport.seen = nil
		_, _ = app.Write([]byte("\x81\x01a"))
		c.Ping()
		_, _ = app.Write([]byte("\x81\x01a"))
		if fmt.Sprint(transport.seen) != "[true false true]" || !transport.last.Equal(mine) {
			t.Errorf("Writes with the application's deadline: %v; the deadline is now %v, want %v", transport.seen, transport.last, mine)
		}
	}
}

// noDeadlines is a transport whose SetWriteDeadline panics the first times, as the method of a nil
// embedded net.Conn does.
type noDeadlines struct {
	deadlines
	panics int
}

func (d *noDeadlines) SetWriteDeadline(t time.Time) error {
	if d.panics--; d.panics >= 0 {
		panic("no deadlines")
	}
	return d.deadlines.SetWriteDeadline(t)
}

// If the transport panics while the tap writes a ping, the pings are lost. The application can still
// set its deadlines, write and close.
func TestDeadlinePanics(t *testing.T) {
	for panics := range 3 {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		transport := &noDeadlines{deadlines: deadlines{Conn: near}, panics: panics}
		c, app, f := open(t, transport)
		c.Ping()
		c.Ping()
		mine := time.Now().Add(time.Hour)
		if err := app.(net.Conn).SetWriteDeadline(mine); err != nil || !transport.last.Equal(mine) {
			t.Errorf("%d panics: the deadline is %v, %v", panics, transport.last, err)
		}
		if n, err := app.Write([]byte("\x81\x01a")); n != 3 || err != nil {
			t.Errorf("%d panics: Write returned %d, %v", panics, n, err)
		}
		_ = app.Close()
		<-f.ended
		if len(f.faults) != min(panics, 1) {
			t.Errorf("%d panics: faults %v", panics, f.faults)
		}
	}
}

// After Goodbye, the tap refuses the application's data frames and drops its control
// frames.
func TestGoodbye(t *testing.T) {
	transport := &choked{takes: 1 << 20}
	c, app, f := open(t, transport)
	_, _ = app.Write([]byte("\x02\x01a"))
	c.Goodbye(1012, "restart", false)
	if got, _ := opcodes(t, transport.take(1<<20)); got != "2" {
		t.Errorf("frames %q: the close frame did not wait for the message", got)
	}
	_, _ = app.Write([]byte("\x80\x01b"))
	c.Goodbye(1001, "again", true)
	got := transport.take(1 << 20)
	if !bytes.Equal(got, []byte("\x80\x01b\x88\x09\x03\xf4restart")) {
		t.Errorf("the peer has %q", got)
	}
	for _, tt := range []struct {
		write string
		ok    bool
	}{{"\x8a\x01p", true}, {"\x88\x02\x03\xe8", true}, {"\x81\x01a", false}, {"\x8a", false}} {
		n, err := io.WriteString(app, tt.write)
		if ok := n == len(tt.write) && err == nil; ok != tt.ok || !ok && !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write of %q returned %d, %v", tt.write, n, err)
		}
	}
	if got := transport.take(0); len(got) > 0 {
		t.Errorf("%q follows the close frame", got)
	}
	_ = app.Close()
	if e := <-f.ended; e.Code != 1012 || e.Reason != "restart" || e.Initiator != Local {
		t.Errorf("the connection ended as %+v, want 1012 by this side", e)
	}
}

// The library may close the connection after Goodbye, with unread bytes. The connection
// stays open until the peer has answered, so that the peer reads the close frame and
// not a reset.
func TestGoodbyeIsNotOvertaken(t *testing.T) {
	for range 20 {
		near, far := tcp(t)
		c, app, f := open(t, near)
		_, _ = far.Write(bytes.Repeat(client(0x81, make([]byte, 100)), 1000))
		reading := make(chan error, 1)
		go func() {
			_, _ = app.Read(make([]byte, 10))
			_, err := app.Read(make([]byte, 10))
			for err == nil {
				_, err = app.Read(make([]byte, 10))
			}
			reading <- err
		}()
		c.Goodbye(1001, "", false)
		_ = app.Close()
		b := make([]byte, 4)
		if _, err := io.ReadFull(far, b); err != nil || !bytes.Equal(b, []byte("\x88\x02\x03\xe9")) {
			t.Fatalf("the peer read %q, %v", b, err)
		}
		if _, err := far.Write(client(0x88, []byte{3, 0xe9})); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(far); len(rest) > 0 || err != nil {
			t.Fatalf("the peer read %q, %v", rest, err)
		}
		if e := <-f.ended; e.Code != 1001 || e.Initiator != Local {
			t.Fatalf("the connection ended as %+v, want 1001 by this side", e)
		}
		if err := <-reading; !errors.Is(err, net.ErrClosed) && err != io.EOF {
			t.Fatalf("the library's Read returned %v", err)
		}
	}
}
