package tap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
)

// The counts of a stream do not depend on the pieces in which it is written and read.
func TestCountsDoNotDependOnPieces(t *testing.T) {
	frames := [][]byte{
		[]byte("\x81\x01a"), []byte("\x89\x01p"), []byte("\x01\x01a"), []byte("\x89\x01p"), []byte("\x80\x01b"),
		[]byte("\x82\x00"), []byte("\x8a\x00"), append([]byte("\x82\x7e\x10\x01"), make([]byte, 4097)...),
		append([]byte("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), make([]byte, 65536)...), []byte("\x88\x02\x03\xe8"),
	}
	whole := bytes.Join(frames, nil)
	var want *count.Totals
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		_, app, f := open(t, new(scripted))
		at := 0
		for rest := whole; len(rest) > 0; {
			n := len(rest)
			switch seed {
			case 0: // all at once
			case 1: // frame by frame
				n = len(frames[at])
				at++
			default:
				n = min(len(rest), 1+random.IntN(1<<random.IntN(17)))
			}
			if _, err := app.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		got := count.Sum([]*count.Traffic{f.traffic})
		sizes := count.Messages([]*count.Traffic{f.traffic}, count.Transmit)
		if want == nil {
			want = got
		}
		if *got != *want || got.Bytes[count.Transmit] != int64(len(whole)) || sizes.Sum != 1+2+4097+65536 {
			t.Fatalf("seed %d: %+v, sizes %+v; want %+v", seed, got, sizes, want)
		}
	}
	if n := want.Frames[count.Transmit]; fmt.Sprint(n) != "[1 2 3 1 2 1]" {
		t.Errorf("frames by opcode are %v", n)
	}
}

// A Write may hold as many frames as a proxy copies at once. They all count, with
// bounded memory.
func TestManyFramesInAWrite(t *testing.T) {
	n := int64(3 * len(events{}.many))
	_, app, f := open(t, new(scripted))
	if _, err := app.Write(bytes.Repeat([]byte("\x89\x01p"), int(n))); err != nil {
		t.Fatal(err)
	}
	if got := count.Sum([]*count.Traffic{f.traffic}).Frames[count.Transmit][4]; got != n {
		t.Errorf("%d pings counted, want %d", got, n)
	}
}

// A large Write passes as a whole, although a heartbeat makes the tap cut it into parts.
func TestWriteInParts(t *testing.T) {
	w := new(wireStream)
	w.frame(0x82, make([]byte, 3*partSize))
	transport := new(keeping)
	c, app, f := open(t, transport)
	c.Signs() // as a heartbeat does
	if n, err := app.Write(w.stream); n != len(w.stream) || err != nil || !bytes.Equal(transport.written, w.stream) {
		t.Errorf("of %d bytes, %d were written; Write returned %d, %v", len(w.stream), len(transport.written), n, err)
	}
	if got := count.Messages([]*count.Traffic{f.traffic}, count.Transmit).Sum; got != 3*partSize {
		t.Errorf("a message of %d bytes was counted", got)
	}
}

// keeping is a transport that keeps the bytes that were written.
type keeping struct {
	scripted
	written []byte
}

func (k *keeping) Write(p []byte) (int, error) {
	k.written = append(k.written, p...)
	return len(p), nil
}

// odd is a transport that violates the contracts of io.Reader and io.Writer.
type odd struct {
	n   int
	err error
}

func (o odd) Read([]byte) (int, error)  { return o.n, o.err }
func (o odd) Write([]byte) (int, error) { return o.n, o.err }
func (odd) Close() error                { return nil }

// nilError is a nil pointer in an error that is not nil, so its methods panic.
var nilError error = (*net.OpError)(nil)

// The tap returns the results of the transport unchanged, even if they are invalid.
func TestOddTransport(t *testing.T) {
	for _, n := range []int{-1, math.MinInt, 0, 11, math.MaxInt} {
		for _, err := range []error{nil, errors.New("EAGAIN"), io.EOF, os.ErrDeadlineExceeded, nilError} {
			for _, speaks := range []bool{false, true} {
				c, app, f := open(t, odd{n, err})
				if speaks {
					c.session.Load().speaking().nextPing()
				}
				if got, gotErr := app.Read(make([]byte, 10)); got != n || gotErr != err {
					t.Errorf("Read returned %d, %v; want %d, %v", got, gotErr, n, err)
				}
				for _, p := range [][]byte{[]byte("\x81\x03abc"), []byte("\x89\x00\x81\x03abc"), {0x81}} {
					if got, gotErr := app.Write(p); got != n || gotErr != err {
						t.Errorf("Write returned %d, %v; want %d, %v", got, gotErr, n, err)
					}
				}
				_ = app.Close()
				<-f.ended
				if len(f.faults) > 0 {
					t.Errorf("faults %v", f.faults)
				}
			}
		}
	}
}

// The tap also returns the results unchanged before the response.
func TestOddTransportBeforeTheResponse(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		c := new(Conn)
		app := c.Watch(odd{0, nilError}, accepted, newFacts(), nil)
		if !accepted {
			c.await(http.Header{}, 0)
		}
		for range 2 {
			if n, err := app.Read(make([]byte, 10)); n != 0 || err != nilError {
				t.Errorf("Read returned %d, %v", n, err)
			}
			if n, err := app.Write([]byte("a")); n != 0 || err != nilError {
				t.Errorf("Write returned %d, %v", n, err)
			}
		}
	}
}

// A panic of the Recorder ends the counts of its connection, and nothing else.
func TestFaultIsContained(t *testing.T) {
	fault := func() { panic("no") }
	t.Run("at the opening", func(t *testing.T) {
		f, c := newFacts(), new(Conn)
		f.onOpening = fault
		app := c.Watch(&scripted{read: []byte("abc")}, true, f, nil)
		c.Open(switching)
		b, err := io.ReadAll(app)
		if string(b) != "abc" || err != nil || len(f.faults) != 1 || f.opened != 0 {
			t.Errorf("read %q, %v with faults %v and %d openings; want abc, one fault and no opening", b, err, f.faults, f.opened)
		}
	})
	t.Run("at a pong", func(t *testing.T) {
		const in = "\x8a\x81\x00\x00\x00\x00p\x81\x81\x00\x00\x00\x00a"
		_, app, f := open(t, &scripted{read: []byte(in + in)})
		f.onTrip = fault
		_, _ = app.Write([]byte("\x89\x01p"))
		b, err := io.ReadAll(app)
		if string(b) != in+in || err != nil {
			t.Errorf("the application read %q, %v", b, err)
		}
		if e := <-f.ended; e.Code != 1006 || len(f.faults) != 1 {
			t.Errorf("the connection ended as %+v with faults %v; want code 1006 and one fault", e, f.faults)
		}
		if n, err := app.Write([]byte("\x81\x01a")); n != 3 || err != nil {
			t.Errorf("Write after the fault returned %d, %v; want 3", n, err)
		}
	})
}

// A panic of the transport reaches the application. The Write in progress still ends
// for the tap.
func TestTransportPanics(t *testing.T) {
	c, app, _ := open(t, panics{})
	for _, b := range []string{"\x81\x01a", "\x89\x01a"} {
		func() {
			defer func() {
				if v := recover(); v != "transport" {
					t.Errorf("Write panicked with %v, want the transport's panic", v)
				}
			}()
			_, _ = app.Write([]byte(b))
		}()
	}
	if n := c.session.Load().writing.Load().Number(); n != 0 {
		t.Errorf("%d writes are still in progress", n)
	}
}

type panics struct{}

func (panics) Write([]byte) (int, error) { panic("transport") }
func (panics) Read([]byte) (int, error)  { return 0, io.EOF }
func (panics) Close() error              { return nil }

// A panic in the transport's Close reaches the library if the library called Close. It
// must not end a goroutine of the tap. In each case the connection ends.
func TestClosePanics(t *testing.T) {
	for name, ends := range map[string]func(*Conn){
		"CutOff": (*Conn).CutOff,
		"GiveUp": (*Conn).GiveUp,
		"Close": func(c *Conn) {
			defer func() {
				if v := recover(); v != "transport" {
					t.Errorf("Close panicked with %v, want the transport's panic", v)
				}
			}()
			_ = c.Close()
		},
	} {
		c, _, f := open(t, closePanics{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			ends(c)
		}()
		<-done
		if e := <-f.ended; e.Code != 1006 {
			t.Errorf("%s: the connection ended as %+v, want code 1006", name, e)
		}
		if faults := map[string]int{"CutOff": 1, "GiveUp": 1}[name]; len(f.faults) != faults {
			t.Errorf("%s: the faults are %v", name, f.faults)
		}
	}
}

type closePanics struct{}

func (closePanics) Read([]byte) (int, error)    { return 0, io.EOF }
func (closePanics) Write(p []byte) (int, error) { return len(p), nil }
func (closePanics) Close() error                { panic("transport") }

// A single Write is stuck after a second. Several short ones are not, although they
// take longer in total.
func TestWriteStuck(t *testing.T) {
	eight := make([]time.Duration, 8)
	for i := range eight {
		eight[i] = 300 * time.Millisecond
	}
	for _, tt := range []struct {
		name  string
		ages  []time.Duration
		stuck bool
	}{
		{"none", nil, false},
		{"one", []time.Duration{2 * time.Second}, true},
		{"one of late", []time.Duration{300 * time.Millisecond}, false},
		{"eight of late", eight, false},
		{"two", []time.Duration{2 * time.Second, 2 * time.Second}, true},
	} {
		c, _, _ := open(t, new(scripted))
		s := c.session.Load()
		for _, age := range tt.ages {
			s.writing.Begin(clock.Now() - age)
		}
		if got := s.writeStuck(); got != tt.stuck {
			t.Errorf("%s: writeStuck is %v, want %v", tt.name, got, tt.stuck)
		}
	}
}
