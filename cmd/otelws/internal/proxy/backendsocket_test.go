package proxy

import (
	"net"
	"testing"
)

// still is a connection that reads and writes nothing, without an error.
type still struct{ net.Conn }

func (still) Read([]byte) (int, error)    { return 0, nil }
func (still) Write(p []byte) (int, error) { return len(p), nil }

// A message on its way through a tunnel allocates nothing here.
func TestBackendSocketAllocates(t *testing.T) {
	s, b := newBackendSocket(still{}), make([]byte, 64)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = s.Read(b)
		_, _ = s.Write(b)
	}); n != 0 {
		t.Errorf("a Read and a Write allocate %v objects", n)
	}
}
