package checklist_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An overflow of the SDK's attribute sets is a fault of the metrics with the
// overflow.
func TestOverflow(t *testing.T) {
	const closed = `ws_connections_closed_total{`
	body := sound(t)
	body = strings.Replace(body, closed, closed[:len(closed)-1]+`{otel_metric_overflow="true"} 0`+"\n"+closed, 1)
	path := filepath.Join(t.TempDir(), "overflow.txt")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	got := text(t, run(t, options(t, path)))
	if !strings.Contains(got, "ws_connections_closed_total overflowed") {
		t.Errorf("the report has no word of it:\n%s", got)
	}
	if got := text(t, run(t, options(t, "testdata/sound.txt"))); strings.Contains(got, "overflow") {
		t.Errorf("a sound scrape overflowed:\n%s", got)
	}
}
