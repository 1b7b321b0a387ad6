package checklist_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/cmd/otelws/internal/checklist"
)

// histogramText returns a histogram in the text format. Each given observation counts
// for ten connections.
func histogramText(name, code, initiator string, bounds, observations []float64) string {
	var b strings.Builder
	labels := fmt.Sprintf("code=%q,initiator=%q", code, initiator)
	sum := 0.0
	for _, bound := range bounds {
		n := 0
		for _, v := range observations {
			if v <= bound {
				n += 10
			}
		}
		fmt.Fprintf(&b, "%s_bucket{%s,le=\"%v\"} %d\n", name, labels, bound, n)
	}
	for _, v := range observations {
		sum += 10 * v
	}
	fmt.Fprintf(&b, "%s_bucket{%s,le=\"+Inf\"} %d\n%s_sum{%s} %v\n%s_count{%s} %d\n",
		name, labels, 10*len(observations), name, labels, sum, name, labels, 10*len(observations))
	return b.String()
}

func TestSilence(t *testing.T) {
	idleBounds := []float64{5, 28, 32, 54, 58, 63, 97, 105, 235, 245, 345, 355, 590, 610, 3600}
	lifeBounds := []float64{1, 5, 15, 45, 60, 300, 900, 3600, 14400, 43200, 86400}
	for _, tt := range []struct {
		name       string
		code, by   string
		idle, life []float64
		status     checklist.Status
		want       []string
	}{
		{"nothing", "1006", "peer", nil, nil, checklist.Skipped, []string{"too few"}},
		{"nginx", "1006", "peer", []float64{60.01, 60.02, 60, 1}, []float64{70, 120, 400, 3}, checklist.Warning, []string{"75 % of 40", "60 s: a hop", "nginx", "Ping every 45 s"}},
		{"heartbeat of the hop", "1006", "peer", []float64{100.2, 100.1}, []float64{200, 300}, checklist.Warning, []string{"100 s", "Cloudflare", "Ping every 75 s"}},
		{"240 s", "1006", "peer", []float64{240, 240.1}, []float64{500, 300}, checklist.Warning, []string{"240 s", "Azure", "Ping every 180 s"}},
		{"55 s", "1006", "peer", []float64{55.1}, []float64{56}, checklist.Warning, []string{"55 s", "Heroku", "Ping every 41 s"}},
		{"a limit of one's own", "1006", "peer", []float64{7.01, 7.02, 7.05}, []float64{9, 20, 8}, checklist.Warning, []string{"between 5 and 28 s", "about 7 s", "ping every 5 s"}},
		{"a life", "1006", "peer", []float64{1, 2, 1}, []float64{30.1, 30, 30.02}, checklist.Warning, []string{"30 of 30", "30 s old", "Google Cloud", "Pings do not help"}},
		{"a life and a silence", "1006", "peer", []float64{30.1, 30, 30.02}, []float64{30.1, 30, 30.02}, checklist.Warning, []string{"30 s: a hop"}},
		{"spread", "1006", "peer", []float64{1, 7, 30, 70, 200}, []float64{1, 7, 30, 70, 200}, checklist.OK, []string{"no silence and no age in common"}},
		{"clients that leave at once", "1006", "peer", []float64{.1, .2, .3}, []float64{30, 400, 3}, checklist.OK, []string{"no silence"}},
		{"clients that leave soon", "1006", "peer", []float64{.1, .1, .2, .1, 6}, []float64{2, 10, 30, 70, 400}, checklist.OK, []string{"no silence"}},
		{"a hop or clients that leave after hours", "1006", "peer", []float64{9000, 8000}, []float64{9000, 8000}, checklist.Skipped, []string{"20 of 20", "silent for more than 3600 s", "too wide to tell"}},
		{"a bound between", "1006", "peer", []float64{57.98, 57.99, 58.02, 58.03, 1, 200, 20}, []float64{70, 120, 400, 3, 2, 900, 30}, checklist.Warning, []string{"57 % of 70", "between 54 and 63 s", "ping every"}},
		{"a bound between, wide", "1006", "peer", []float64{4.98, 5.03, 4.98, 5.03, 4.98, 5.03, 4.98, 5.03, 4.98, 5.03, 4.98, 5.03, .4, .8, 1, 2}, []float64{2, 10, 30, 50, 70, 400}, checklist.Skipped, []string{"100 of 160", "silent for 0 to 5 s", "too wide to tell", "otelws probe"}},
		{"a bound between, most above", "1006", "peer", []float64{4.98, 5.03, 4.98, 5.03, 70, 200, 400}, []float64{2, 10, 30, 50, 70, 400}, checklist.Skipped, []string{"40 of 70", "silent for 0 to 28 s"}},
		{"an age in a wide bucket", "1006", "peer", []float64{1, 7, 30, 70, 200}, []float64{20, 20, 20.1, 20.2, 20.1}, checklist.Skipped, []string{"50 of 50", "had an age of 15 to 45 s", "too wide"}},
		{"clients that vanish under a heartbeat", "1006", "timeout", []float64{10, 10.1, 10}, []float64{500, 300, 20}, checklist.Skipped, []string{"too few"}},
		{"this side", "1006", "local", []float64{60, 60}, []float64{60, 60}, checklist.Skipped, []string{"too few"}},
		{"another code", "other", "peer", []float64{60, 60}, []float64{60, 60}, checklist.Skipped, []string{"too few"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := sound(t) + "# HELP ws_connection_idle_seconds x\n# TYPE ws_connection_idle_seconds histogram\n" + histogramText("ws_connection_idle_seconds", tt.code, tt.by, idleBounds, tt.idle) +
				"# HELP ws_connection_duration_seconds x\n# TYPE ws_connection_duration_seconds histogram\n" + histogramText("ws_connection_duration_seconds", tt.code, tt.by, lifeBounds, tt.life)
			path := filepath.Join(t.TempDir(), "now.txt")
			write(t, path, text)
			for _, i := range run(t, options(t, path)).Items {
				if i.Name != "silence" {
					if i.Name != "series" && i.Status > checklist.OK {
						t.Errorf("%s: %+v", i.Name, i)
					}
					continue
				}
				said := i.Summary
				for _, f := range i.Findings {
					said += f.Why + ". " + f.Advice
				}
				if i.Status != tt.status {
					t.Errorf("%v, want %v: %s", i.Status, tt.status, said)
				}
				for _, want := range tt.want {
					if !strings.Contains(said, want) {
						t.Errorf("%q lacks %q", said, want)
					}
				}
			}
		})
	}
}
