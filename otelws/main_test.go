package otelws_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitLimit bounds the wait for a condition. Only a failing test waits that long.
const waitLimit = 30 * time.Second

// expect waits until the metrics are want, and else fails the test.
func expect(t testing.TB, m *otelwstest.Metrics, want string) {
	t.Helper()
	diff := m.Diff(want)
	for end := time.Now().Add(waitLimit); diff != "" && time.Now().Before(end); diff = m.Diff(want) {
		time.Sleep(time.Millisecond)
	}
	if diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// caseFile is a file in testdata with one section for each case. With -update, the
// cases that run write it anew.
type caseFile struct {
	mu       sync.Mutex
	sections map[string]string
}

const sectionMark = "== "

func openCases(t *testing.T, name string) *caseFile {
	t.Helper()
	path := filepath.Join("testdata", name)
	g := &caseFile{sections: make(map[string]string)}
	if *update {
		t.Cleanup(func() { g.write(t, path) })
		return g
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq("\n"+string(b), "\n"+sectionMark) {
		name, text, _ := strings.Cut(section, "\n")
		g.sections[name] = text
	}
	delete(g.sections, "")
	return g
}

func (g *caseFile) write(t *testing.T, path string) {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(g.sections)) {
		fmt.Fprintf(&b, "%s%s\n%s\n", sectionMark, name, strings.TrimSpace(g.sections[name]))
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Error(err)
	}
}

// expect waits until the metrics are those of the section, and else fails the test.
func (g *caseFile) expect(t testing.TB, m *otelwstest.Metrics, section string) {
	t.Helper()
	g.mu.Lock()
	want, ok := g.sections[section]
	if *update {
		g.sections[section] = m.Changed()
		want, ok = g.sections[section], true
	}
	g.mu.Unlock()
	if !ok {
		t.Fatalf("the golden file has no section %q", section)
	}
	expect(t, m, want)
}
