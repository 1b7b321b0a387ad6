package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

func TestHistory(t *testing.T) {
	texts := []string{
		"# TYPE a gauge\na 1\n# TYPE other gauge\nother 9\n",
		"# TYPE a gauge\na 2\n# TYPE b counter\nb_total{l=\"x\"} 5\n",
		"a{ broken",
		"# TYPE a gauge\na 4\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 7\nh_count 3\n",
	}
	next := 0
	h := newHistory(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, texts[next])
		next++
	}), slog.New(slog.DiscardHandler), "a", "b_total", "h")
	for range texts {
		h.scrape(t.Context())
	}
	all := ask(t, h, "")
	if len(all.Times) != len(texts) {
		t.Fatalf("%d times, want %d", len(all.Times), len(texts))
	}
	want := []line{
		{"a", nil, []any{1.0, 2.0, nil, 4.0}},
		{"b_total", map[string]string{"l": "x"}, []any{nil, 5.0, nil, nil}},
		{"h_bucket", map[string]string{"le": "+Inf"}, []any{nil, nil, nil, 3.0}},
		{"h_bucket", map[string]string{"le": "0.5"}, []any{nil, nil, nil, 1.0}},
		{"h_count", nil, []any{nil, nil, nil, 3.0}},
	}
	if diff := cmp.Diff(want, all.Series); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestHistorySince(t *testing.T) {
	h := newHistory(nil, nil, "a")
	for n := range historySize + 100 {
		text := "x 1\n"
		if n != historySize+50 {
			text = fmt.Sprintf("a %d\n", n)
		}
		s, err := scrape.Parse([]byte(text), "")
		check(t, err)
		h.add(float64(n), s)
	}
	all := ask(t, h, "")
	if len(all.Times) != historySize || all.Times[0] != 100 || len(all.Series[0].Values) != historySize || all.Series[0].Values[0] != 100.0 {
		t.Errorf("%d times from %v, %d values", len(all.Times), all.Times[0], len(all.Series[0].Values))
	}
	if v := all.Series[0].Values[historySize-50]; v != nil {
		t.Errorf("a gap is %v", v)
	}
	for since, want := range map[string]int{"?since=997": 2, "?since=997.5": 2, "?since=999": 0, "?since=5000": 0, "?since=0": historySize, "?since=": historySize} {
		if got := ask(t, h, since); len(got.Times) != want || len(got.Series[0].Values) != want {
			t.Errorf("%s: %d times and %d values, want %d", since, len(got.Times), len(got.Series[0].Values), want)
		}
	}
}

type line struct {
	Name   string
	Labels map[string]string
	Values []any
}

func ask(t *testing.T, h *history, query string) (all struct {
	Times  []float64
	Series []line
}) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/signals"+query, nil))
	check(t, json.Unmarshal(w.Body.Bytes(), &all))
	for i := range all.Series {
		if len(all.Series[i].Labels) == 0 {
			all.Series[i].Labels = nil
		}
	}
	return all
}
