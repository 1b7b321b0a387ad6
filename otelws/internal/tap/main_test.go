package tap

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/inspect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// facts is a Recorder that keeps the recorded events.
type facts struct {
	traffic *count.Traffic
	kinds   *inspect.Kinds // nil if kinds are not read

	mu      sync.Mutex
	opened  int
	refused []int
	trips   int
	errors  []frame.Error
	ended   chan End // has room for one
	faults  []any

	// The method of the same name calls each function, if it is not nil.
	onOpening func()
	onTrip    func()
}

func newFacts() *facts {
	return &facts{traffic: count.NewTraffic(true, 1), ended: make(chan End, 1)}
}

func (f *facts) Opening(http.Header) Opening {
	if f.onOpening != nil {
		f.onOpening()
	}
	return Opening{Shard: f.traffic.Shard(), Kinds: f.kinds, KindShard: f.traffic.KindShard()}
}

func (f *facts) locked(g func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g()
}

func (f *facts) Opened()                                       { f.locked(func() { f.opened++ }) }
func (f *facts) Begun()                                        {}
func (f *facts) Refused(status int)                            { f.locked(func() { f.refused = append(f.refused, status) }) }
func (f *facts) Leaving() (websocket.StatusCode, string, bool) { return 0, "", false }
func (f *facts) Message(count.Direction, int64, int)           {}
func (f *facts) ProtocolError(err frame.Error)                 { f.locked(func() { f.errors = append(f.errors, err) }) }
func (f *facts) Ended(e End)                                   { f.ended <- e }
func (f *facts) Fault(v any)                                   { f.locked(func() { f.faults = append(f.faults, v) }) }
func (f *facts) RoundTrip(time.Duration) {
	f.locked(func() { f.trips++ })
	if f.onTrip != nil {
		f.onTrip()
	}
}

// switching is the header of a response that opens a connection.
var switching = http.Header{"Upgrade": {"websocket"}}

// open returns the open tap of a transport, and the connection that the application
// uses.
func open(t testing.TB, transport io.ReadWriteCloser) (*Conn, io.ReadWriteCloser, *facts) {
	t.Helper()
	f, c := newFacts(), new(Conn)
	app := c.Watch(transport, true, f, nil)
	c.Open(switching)
	return c, app, f
}

// scripted is a transport whose Reads return read, and whose Writes succeed.
type scripted struct{ read []byte }

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.read) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.read)
	s.read = s.read[n:]
	return n, nil
}
func (*scripted) Write(p []byte) (int, error) { return len(p), nil }
func (*scripted) Close() error                { return nil }
