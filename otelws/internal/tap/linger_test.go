package tap

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// timeless is a connection without deadlines, such as a channel of SSH.
type timeless struct{ net.Conn }

func (timeless) SetDeadline(time.Time) error      { return nil }
func (timeless) SetReadDeadline(time.Time) error  { return nil }
func (timeless) SetWriteDeadline(time.Time) error { return nil }

// A closed connection waits only a limited time for the peer to answer the tap's close frame, even if
// its transport has no deadlines.
func TestLingerEnds(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"deadlines":    func(nc net.Conn) net.Conn { return nc },
		"no deadlines": func(nc net.Conn) net.Conn { return timeless{nc} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c, app, f := open(t, wrap(near))
				go func() { _, _ = io.Copy(io.Discard, far) }()
				c.Goodbye(1001, "", false)
				begun := time.Now()
				if err := app.Close(); err != nil {
					t.Error(err)
				}
				select {
				case e := <-f.ended:
					if d := time.Since(begun); d < lingerLimit || e.Code != 1001 || e.Initiator != Local {
						t.Errorf("ended after %v with code %d and initiator %v", d, e.Code, e.Initiator)
					}
				case <-time.After(time.Minute):
					t.Error("the connection did not end")
					_ = near.Close()
				}
			})
		})
	}
}
