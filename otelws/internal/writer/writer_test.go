package writer

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// recorder records which of its methods were called.
type recorder struct{ called string }

func (r *recorder) Header() http.Header         { r.called = "Header"; return nil }
func (r *recorder) Write([]byte) (int, error)   { r.called = "Write"; return 0, nil }
func (r *recorder) WriteHeader(int)             { r.called = "WriteHeader" }
func (r *recorder) Unwrap() http.ResponseWriter { r.called = "Unwrap"; return nil }
func (r *recorder) Flush()                      { r.called = "Flush" }
func (r *recorder) FlushError() error           { r.called = "FlushError"; return nil }
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.called = "Hijack"
	return nil, nil, nil
}
func (r *recorder) CloseNotify() <-chan bool             { r.called = "CloseNotify"; return nil }
func (r *recorder) ReadFrom(io.Reader) (int64, error)    { r.called = "ReadFrom"; return 0, nil }
func (r *recorder) WriteString(string) (int, error)      { r.called = "WriteString"; return 0, nil }
func (r *recorder) Push(string, *http.PushOptions) error { r.called = "Push"; return nil }
func (r *recorder) WriteHeaderNow()                      { r.called = "WriteHeaderNow" }
func (r *recorder) SetReadDeadline(time.Time) error      { r.called = "SetReadDeadline"; return nil }
func (r *recorder) SetWriteDeadline(time.Time) error     { r.called = "SetWriteDeadline"; return nil }
func (r *recorder) EnableFullDuplex() error              { r.called = "EnableFullDuplex"; return nil }

// calls has a function for each method. It calls the method, and returns false if w
// does not have it.
var calls = map[string]func(w http.ResponseWriter) bool{
	"Header":      func(w http.ResponseWriter) bool { w.Header(); return true },
	"Write":       func(w http.ResponseWriter) bool { _, _ = w.Write(nil); return true },
	"WriteHeader": func(w http.ResponseWriter) bool { w.WriteHeader(0); return true },
	"Unwrap":      call(func(u interface{ Unwrap() http.ResponseWriter }) { u.Unwrap() }),

	"Flush":          call(func(f http.Flusher) { f.Flush() }),
	"FlushError":     call(func(f interface{ FlushError() error }) { _ = f.FlushError() }),
	"Hijack":         call(func(h http.Hijacker) { _, _, _ = h.Hijack() }),
	"CloseNotify":    call(func(c interface{ CloseNotify() <-chan bool }) { c.CloseNotify() }),
	"ReadFrom":       call(func(r io.ReaderFrom) { _, _ = r.ReadFrom(nil) }),
	"WriteString":    call(func(s io.StringWriter) { _, _ = s.WriteString("") }),
	"Push":           call(func(p http.Pusher) { _ = p.Push("", nil) }),
	"WriteHeaderNow": call(func(n interface{ WriteHeaderNow() }) { n.WriteHeaderNow() }),

	"SetReadDeadline":  call(func(d interface{ SetReadDeadline(time.Time) error }) { _ = d.SetReadDeadline(time.Time{}) }),
	"SetWriteDeadline": call(func(d interface{ SetWriteDeadline(time.Time) error }) { _ = d.SetWriteDeadline(time.Time{}) }),
	"EnableFullDuplex": call(func(d interface{ EnableFullDuplex() error }) { _ = d.EnableFullDuplex() }),
}

func call[T any](f func(T)) func(http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool {
		t, ok := w.(T)
		if ok {
			f(t)
		}
		return ok
	}
}

// methodNames calls each method that w has, and checks that r recorded the call.
func methodNames(t *testing.T, w http.ResponseWriter, r *recorder) (names []string) {
	t.Helper()
	for name, call := range calls {
		if r.called = ""; !call(w) {
			continue
		}
		names = append(names, name)
		if r.called != name {
			t.Errorf("%T: %s calls %q", w, name, r.called)
		}
	}
	slices.Sort(names)
	return names
}

// A narrowed writer has exactly the methods of the writer beneath, and each calls the
// right method.
func TestNarrow(t *testing.T) {
	always := []string{"Header", "Unwrap", "Write", "WriteHeader"}
	optional := []string{"Flush", "FlushError", "Hijack", "CloseNotify", "ReadFrom", "WriteString", "Push", "WriteHeaderNow"}
	control := []string{"EnableFullDuplex", "SetReadDeadline", "SetWriteDeadline"}
	var r recorder
	check := func(beneath http.ResponseWriter, want []string) {
		t.Helper()
		slices.Sort(want)
		if got := methodNames(t, beneath, &r); !slices.Equal(got, want) {
			t.Fatalf("the writer beneath has %q, want %q", got, want)
		}
		if got := methodNames(t, Narrow(&r, beneath), &r); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for set := range methods(1) << len(optional) {
		want := slices.Clone(always)
		for i, name := range optional {
			if set>>i&1 == 1 {
				want = append(want, name)
			}
		}
		check(with(&r, set), want)
		if set&ofNetHTTP == ofNetHTTP {
			check(withControl(&r, set), append(want, control...))
		}
	}
	check(&r, slices.Collect(maps.Keys(calls)))
}

func TestGenerated(t *testing.T) {
	generator, err := filepath.Abs("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", generator)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("failed to run generate.go: %v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(cmd.Dir, "combinations.go"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("combinations.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("combinations.go is not what generate.go writes: run go generate")
	}
}
