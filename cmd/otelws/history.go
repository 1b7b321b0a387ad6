package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

const (
	historyEvery = time.Second
	historySize  = 900 // scrapes: fifteen minutes
)

// history scrapes the demo's own metrics once a second, and keeps the series that the page plots.
// Thus the page has plots as soon as it is opened.
//
// It serves the series to everybody who can reach the WebSockets, even if a web configuration
// protects the metrics. This is only acceptable for a demo on localhost.
type history struct {
	metrics http.Handler // the exporter's
	logger  *slog.Logger
	plotted []string // names of metrics

	mu     sync.Mutex
	times  []float64 // in Unix seconds
	series map[string]*plottedSeries
}

type plottedSeries struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Values []sample          `json:"values"` // one for each time
}

// sample is the value of a series at one time. NaN means that the series was absent; in JSON, it is
// null.
type sample float64

func (v sample) MarshalJSON() ([]byte, error) {
	if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return strconv.AppendFloat(nil, f, 'g', -1, 64), nil
	}
	return []byte("null"), nil
}

func newHistory(metrics http.Handler, logger *slog.Logger, plotted ...string) *history {
	return &history{metrics: metrics, logger: logger, plotted: plotted, series: map[string]*plottedSeries{}}
}

// run scrapes until ctx is done.
func (h *history) run(ctx context.Context) error {
	ticker := time.NewTicker(historyEvery)
	defer ticker.Stop()
	for {
		h.scrape(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *history) scrape(ctx context.Context) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		h.logger.Warn("the page has no metrics", "err", err)
		return
	}
	w := recorded{header: http.Header{}}
	at := time.Now()
	h.metrics.ServeHTTP(&w, r)
	s, err := scrape.Parse(w.body.Bytes(), w.header.Get("Content-Type"))
	if err != nil {
		h.logger.Warn("the page has no metrics", "err", err)
		s = &scrape.Scrape{} // a gap
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(float64(at.UnixMilli())/1000, s)
}

// recorded keeps a handler's response in memory.
type recorded struct {
	header http.Header
	body   bytes.Buffer
}

func (w *recorded) Header() http.Header         { return w.header }
func (w *recorded) Write(b []byte) (int, error) { return w.body.Write(b) }
func (w *recorded) WriteHeader(int)             {}

func (h *history) add(at float64, s *scrape.Scrape) {
	h.times = append(h.times, at)
	for _, name := range h.plotted {
		for _, m := range s.Families[name].GetMetric() {
			h.addMetric(name, m)
		}
	}
	first := max(0, len(h.times)-historySize)
	h.times = slices.Delete(h.times, 0, first)
	for _, series := range h.series {
		if len(series.Values) < len(h.times)+first {
			series.Values = append(series.Values, sample(math.NaN()))
		}
		series.Values = slices.Delete(series.Values, 0, first)
	}
}

func (h *history) addMetric(name string, m *dto.Metric) {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	buckets := m.GetHistogram()
	if buckets == nil {
		h.addSample(name, labels, scrape.Value(m))
		return
	}
	h.addSample(name+"_count", labels, float64(buckets.GetSampleCount()))
	for _, b := range buckets.GetBucket() {
		withBound := maps.Clone(labels)
		withBound["le"] = strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)
		h.addSample(name+"_bucket", withBound, float64(b.GetCumulativeCount()))
	}
}

func (h *history) addSample(name string, labels map[string]string, value float64) {
	b, _ := json.Marshal(labels) // with sorted keys
	key := name + string(b)
	series := h.series[key]
	if series == nil {
		series = &plottedSeries{Name: name, Labels: labels}
		h.series[key] = series
	}
	for len(series.Values) < len(h.times)-1 {
		series.Values = append(series.Values, sample(math.NaN()))
	}
	series.Values = append(series.Values, sample(value))
}

// ServeHTTP answers with the scrapes after the query's time since. Without since, it answers with all
// of them.
func (h *history) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	since := math.Inf(-1)
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = strconv.ParseFloat(text, 64); err != nil {
			http.Error(w, "since: use a time in Unix seconds", http.StatusBadRequest)
			return
		}
	}
	body, err := json.Marshal(h.after(since))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // an error means that the client has gone
}

type scrapes struct {
	Times  []float64       `json:"times"`
	Series []plottedSeries `json:"series"`
}

func (h *history) after(since float64) scrapes {
	h.mu.Lock()
	defer h.mu.Unlock()
	first, found := slices.BinarySearch(h.times, since)
	if found {
		first++
	}
	all := scrapes{Times: slices.Clone(h.times[first:]), Series: []plottedSeries{}}
	for _, key := range slices.Sorted(maps.Keys(h.series)) {
		s := *h.series[key]
		s.Values = slices.Clone(s.Values[first:])
		all.Series = append(all.Series, s)
	}
	return all
}
