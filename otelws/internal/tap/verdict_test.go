package tap

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/socket"
)

const (
	goingAway = "\x88\x82\x00\x00\x00\x00\x03\xe9" // a client's close frame
	tick      = "\x81\x04tick"
)

// tcp returns the two ends of a connection over loopback.
func tcp(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, far = (<-accepted).(*net.TCPConn), c.(*net.TCPConn)
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// writeUntilFails writes until the peer's reset has arrived.
func writeUntilFails(t *testing.T, app io.Writer) error {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, err := io.WriteString(app, tick); err != nil {
			return err
		}
	}
	t.Fatal("no write failed")
	return nil
}

// A peer sends a close frame and is gone while this side writes. The close frame
// decides the verdict, whatever this side does after the failed Write.
func TestCloseFrameBehindFailedWrite(t *testing.T) {
	for name, after := range map[string]func(app io.ReadWriteCloser){
		"read": func(app io.ReadWriteCloser) {
			_, _ = io.Copy(io.Discard, app)
			_ = app.Close()
		},
		"close": func(app io.ReadWriteCloser) { _ = app.Close() },
		"close beside a reader": func(app io.ReadWriteCloser) {
			var reader sync.WaitGroup
			reader.Go(func() { _, _ = io.Copy(io.Discard, app) })
			_ = app.Close()
			reader.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 50 {
				near, far := tcp(t)
				_, app, f := open(t, near)
				_, _ = io.WriteString(far, goingAway)
				_ = far.Close()
				writeUntilFails(t, app)
				select {
				case e := <-f.ended:
					t.Fatalf("a Write ended the connection: %+v", e)
				default:
				}
				after(app)
				if e := <-f.ended; e.Code != websocket.StatusGoingAway || e.Initiator != Peer {
					t.Fatalf("the connection ended as %+v, want 1001 by the peer", e)
				}
			}
		})
	}
}

// TestVerdict has the events that decide a verdict, in each order that matters.
func TestVerdict(t *testing.T) {
	reset := &net.OpError{Op: "write", Err: syscall.ECONNRESET}
	for _, tt := range []struct {
		name  string
		do    func(c *Conn, s *steps, app io.ReadWriteCloser)
		code  websocket.StatusCode
		by    Initiator
		cause error
	}{
		{"EOF", func(_ *Conn, s *steps, app io.ReadWriteCloser) { s.reads(app, "", io.EOF) }, 1006, Peer, io.EOF},
		{"Close", func(_ *Conn, _ *steps, app io.ReadWriteCloser) { app.Close() }, 1006, Local, nil},
		{"read ETIMEDOUT", func(_ *Conn, s *steps, app io.ReadWriteCloser) { s.reads(app, "", syscall.ETIMEDOUT) }, 1006, Timeout, syscall.ETIMEDOUT},
		{"closed beneath", func(_ *Conn, s *steps, app io.ReadWriteCloser) { s.reads(app, "", net.ErrClosed) }, 1006, Local, net.ErrClosed},
		{"a failed Write, then EOF", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, tick, 0, reset)
			s.reads(app, "", io.EOF)
		}, 1006, Peer, reset},
		{"a failed Write, then Close", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, tick, 0, reset)
			app.Close()
		}, 1006, Peer, reset},
		{"a Write that timed out for good, then Close", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, tick, 0, syscall.ETIMEDOUT)
			app.Close()
		}, 1006, Timeout, syscall.ETIMEDOUT},
		{"a Write closed beneath, then EOF", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, tick, 0, net.ErrClosed)
			s.reads(app, "", io.EOF)
		}, 1006, Peer, io.EOF},
		{"a failed Write, then a close frame", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, tick, 0, reset)
			s.reads(app, goingAway, nil)
			s.reads(app, "", io.EOF)
		}, 1001, Peer, reset},
		{"a close frame beside EOF", func(_ *Conn, s *steps, app io.ReadWriteCloser) { s.reads(app, goingAway, io.EOF) }, 1001, Peer, io.EOF},
		{"a passed deadline, then Close", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.reads(app, "", errDeadline{})
			app.Close()
		}, 1006, Timeout, nil},
		{"a passed deadline, bytes, then Close", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.reads(app, "", errDeadline{})
			s.reads(app, "\x8a", nil)
			app.Close()
		}, 1006, Local, nil},
		{"given up", func(c *Conn, _ *steps, _ io.ReadWriteCloser) { c.GiveUp() }, 1006, Timeout, nil},
		{"a close frame written", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, "\x88\x02\x03\xe8", 4, nil)
			app.Close()
		}, 1000, Local, nil},
		{"a close frame that is stuck, then Close", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, "\x88\x02\x03\xe8", 0, errDeadline{})
			app.Close()
		}, 1006, Timeout, nil},
		{"a close frame that did not leave whole", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, "\x88\x02\x03\xe8", 3, reset)
			app.Close()
		}, 1006, Peer, reset},
		{"a stuck close frame, and the peer's own", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, "\x88\x02\x03\xe8", 0, errDeadline{})
			s.reads(app, goingAway, nil)
			app.Close()
		}, 1001, Peer, nil},
		{"an answer with another code, before the Write has returned", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.inWrite = func() { s.reads(app, goingAway, nil) }
			s.writes(app, "\x88\x02\x03\xe8", 4, nil)
			app.Close()
		}, 1000, Local, nil},
		{"a reset before the Write of a close frame has returned", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.inWrite = func() {
				s.reads(app, "", reset)
				s.err = nil
			}
			s.writes(app, "\x88\x02\x03\xe8", 4, nil)
		}, 1000, Local, reset},
		{"the first close frame of two", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.writes(app, "\x88\x02\x03\xe8", 4, nil)
			s.reads(app, goingAway, nil)
			app.Close()
		}, 1000, Local, nil},
		{"a code that must not be sent", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.reads(app, "\x88\x82\x00\x00\x00\x00\x03\xee", nil)
			app.Close()
		}, InvalidCode, Peer, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := new(steps)
			c, app, f := open(t, s)
			tt.do(c, s, app)
			if e := <-f.ended; e.Code != tt.code || e.Initiator != tt.by || e.Cause != tt.cause {
				t.Errorf("code %d, initiator %d, cause %v; want %d, %d, %v", e.Code, e.Initiator, e.Cause, tt.code, tt.by, tt.cause)
			}
			_ = app.Close()
			select {
			case e := <-f.ended:
				t.Errorf("the connection ended twice: %+v", e)
			default:
			}
		})
	}
}

// steps is a transport whose next result the test sets.
type steps struct {
	read    string
	n       int
	err     error
	inWrite func()
}

func (s *steps) reads(app io.Reader, b string, err error) {
	s.read, s.err = b, err
	_, _ = app.Read(make([]byte, 100))
}

func (s *steps) writes(app io.Writer, b string, n int, err error) {
	s.n, s.err = n, err
	_, _ = io.WriteString(app, b)
}

func (s *steps) Read(p []byte) (int, error) { return copy(p, s.read), s.err }
func (s *steps) Close() error               { return nil }

func (s *steps) Write(p []byte) (int, error) {
	if s.inWrite != nil {
		s.inWrite()
	}
	return s.n, s.err
}

type errDeadline struct{}

func (errDeadline) Error() string   { return "deadline" }
func (errDeadline) Timeout() bool   { return true }
func (errDeadline) Temporary() bool { return true }

// Close ends a connection even if the transport's Read returns only later.
func TestReadThatNeverReturns(t *testing.T) {
	begun := time.Now()
	transport := &racing{read: make(chan struct{}), err: errors.New("late")}
	_, app, f := open(t, transport)
	reading := make(chan struct{})
	go func() {
		_, _ = app.Read(make([]byte, 1))
		close(reading)
	}()
	for !app.(*held).conn.Reading() {
		runtime.Gosched()
	}
	_ = app.Close()
	most := time.Since(begun)
	if e := <-f.ended; e.Code != 1006 || e.Initiator != Local || e.Duration > most {
		t.Errorf("the connection ended as %+v, want 1006 by this side after at most %v", e, most)
	}
	close(transport.read)
	<-reading
}

// At Close, the tap finds a close frame in the kernel's buffer, behind other frames.
// That works over TCP and Unix sockets. With TLS, the buffer holds ciphertext.
func TestPeek(t *testing.T) {
	unixNear, unixFar := unixPair(t)
	tcpNear, tcpFar := tcp(t)
	for name, pair := range map[string][2]net.Conn{"tcp": {tcpNear, tcpFar}, "unix": {unixNear, unixFar}} {
		_, app, f := open(t, pair[0])
		_, _ = io.WriteString(pair[1], "\x81\x81\x00\x00\x00\x00a\x8a\x80\x00\x00\x00\x00"+goingAway)
		for held := 0; held == 0 && runtime.GOOS == "linux"; {
			socket.Peek(pair[0], func(b []byte) { held = len(b) })
		}
		_ = app.Close()
		e := <-f.ended
		want := websocket.StatusGoingAway
		if runtime.GOOS != "linux" {
			want = websocket.StatusAbnormalClosure
		}
		if e.Code != want {
			t.Errorf("%s: the connection ended as %+v", name, e)
		}
	}
	near, far := tcp(t)
	_, app, f := open(t, tls.Server(near, &tls.Config{}))
	_, _ = io.WriteString(far, goingAway)
	_ = app.Close()
	if e := <-f.ended; e.Code != websocket.StatusAbnormalClosure || len(f.errors) > 0 {
		t.Errorf("TLS: the connection ended as %+v, with errors %v; want 1006", e, f.errors)
	}
}

// A reader may take data beside the Close that peeks: data before the peek, which is recorded only
// after it, or data after the peek.
func TestPeekBesideReader(t *testing.T) {
	if !socket.Asked {
		t.Skip("this system shows no data without reading it")
	}
	const message = "\x81\x85\x00\x00\x00\x00hello"
	for _, tt := range []struct {
		name          string
		before, after int // bytes read
	}{
		{"nothing", 0, 0},
		{"a message before", len(message), 0},
		{"a part of a message before", len(message) + 3, 0},
		{"a message after", 0, len(message)},
		{"a part of a message after", 0, len(message) + 3},
		{"a part of the close frame after", 0, 3*len(message) + 2},
		{"the close frame after", 0, 3*len(message) + len(goingAway)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := tcp(t)
			c, app, f := open(t, near)
			_, _ = io.WriteString(far, message+message+message+goingAway)
			before := make([]byte, tt.before)
			if _, err := io.ReadFull(near, before); err != nil {
				t.Fatal(err)
			}
			for held := 0; held < 3*len(message)+len(goingAway)-tt.before; {
				socket.Peek(near, func(b []byte) { held = len(b) })
			}
			c.closing()
			_, _ = c.readBefore(before, len(before), nil)
			if _, err := io.ReadFull(app, make([]byte, tt.after)); err != nil {
				t.Fatal(err)
			}
			_ = near.Close()
			c.closedTransport()
			if e := <-f.ended; e.Code != websocket.StatusGoingAway || e.Initiator != Peer {
				t.Errorf("the connection ended as %+v, want 1001 by the peer", e)
			}
			if len(f.errors) > 0 {
				t.Errorf("violations of the protocol: %v", f.errors)
			}
		})
	}
}

// A TLS connection returns what it has decrypted also after Close.
func TestReadAfterCloseOfTLS(t *testing.T) {
	near, far := tcp(t)
	serving := httptest.NewUnstartedServer(nil)
	serving.StartTLS() // for its certificate
	serving.Close()
	go func() {
		client := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
		_, _ = io.WriteString(client, "\x81\x85\x00\x00\x00\x00hello"+goingAway)
	}()
	_, app, f := open(t, tls.Server(near, serving.TLS))
	if _, err := io.ReadFull(app, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_ = app.Close()
	if rest, _ := io.ReadAll(app); !strings.HasSuffix(string(rest), goingAway) {
		t.Fatalf("after Close, the library read %q", rest)
	}
	if e := <-f.ended; e.Code != websocket.StatusGoingAway || e.Initiator != Peer {
		t.Errorf("the connection ended as %+v, want 1001 by the peer", e)
	}
}

// After Close of a TLS connection, the verdict waits for a reader only if one may still get a close frame.
func TestCloseOfTLSEndsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(c *Conn, s *steps, app io.ReadWriteCloser)
		late bool
	}{
		{"nothing read", func(*Conn, *steps, io.ReadWriteCloser) {}, false},
		{"a message read", func(_ *Conn, s *steps, app io.ReadWriteCloser) { s.reads(app, tick, nil) }, true},
		{"a failed Read", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.reads(app, tick, nil)
			s.reads(app, "", errDeadline{})
		}, false},
		{"a close frame read", func(_ *Conn, s *steps, app io.ReadWriteCloser) { s.reads(app, goingAway, nil) }, false},
		{"a close frame written", func(_ *Conn, s *steps, app io.ReadWriteCloser) {
			s.reads(app, tick, nil)
			s.writes(app, "\x88\x02\x03\xe8", 4, nil)
		}, false},
		{"given up", func(c *Conn, s *steps, app io.ReadWriteCloser) {
			s.reads(app, tick, nil)
			c.GiveUp()
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(steps)
				c, app, f := open(t, struct {
					*steps
					tlsMethods
				}{steps: s})
				tt.do(c, s, app)
				begun := time.Now()
				_ = app.Close()
				<-f.ended
				if late := time.Since(begun) > 0; late != tt.late {
					t.Errorf("the connection ended %v after Close", time.Since(begun))
				}
			})
		})
	}
}

// tlsMethods are those of a TLS connection.
type tlsMethods struct{ tlsConn }

func unixPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err = net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}
