package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
)

const scrapeInterval = time.Second

// accept is the Accept header of Prometheus.
const accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"

// scraper scrapes a server once a second while it is measured.
type scraper struct {
	url    string
	client *http.Client
	next   time.Duration // until the next scrape
}

func newScraper(url string) *scraper {
	// The first scrape is in the middle of the first second, so that a round of a second has one.
	return &scraper{url: url, next: scrapeInterval / 2,
		client: &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}}
}

// during scrapes until stop is called. stop waits for a scrape in progress.
func (s *scraper) during(ctx context.Context) (stop func() error) {
	if s.url == "" {
		return func() error { return nil }
	}
	over, result := make(chan struct{}), make(chan error, 1)
	start := time.Now()
	go func() {
		timer := time.NewTimer(s.next)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
				s.next += scrapeInterval
				timer.Reset(time.Until(start.Add(s.next)))
				if err := s.once(ctx); err != nil {
					result <- err
					return
				}
			case <-over:
				result <- nil
				return
			}
		}
	}()
	return func() error {
		close(over)
		err := <-result
		s.next = max(0, s.next-time.Since(start))
		return err
	}
}

func (s *scraper) get(ctx context.Context, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := s.client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("the scrape was answered %s", resp.Status)
	}
	return resp, err
}

func (s *scraper) once(ctx context.Context) error {
	resp, err := s.get(ctx, accept)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// check compares the metrics with the counts of the clients, after all connections have ended.
func (s *scraper) check(ctx context.Context, want load.Counts) error {
	if s.url == "" {
		return nil
	}
	var err error
	// The server notices the last closes a little later than the clients.
	for end := time.Now().Add(5 * time.Second); ; {
		if err = s.compare(ctx, want); err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (s *scraper) compare(ctx context.Context, want load.Counts) error {
	resp, err := s.get(ctx, "text/plain;version=0.0.4")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name     string
		want     int64
		optional bool
	}{
		{"ws_connections_active", 0, false},
		{"ws_connections_opened_total", want.Connections, false},
		{"ws_connections_closed_total", want.Connections, false},
		{"ws_message_bytes", want.Sent, false},
		{"ws_message_sent_bytes", want.Received, true},
	} {
		f, ok := families[c.name]
		if !ok && c.optional {
			continue
		}
		if got := total(f); int64(got) != c.want {
			return fmt.Errorf("%s is %v, and the clients know of %d", c.name, got, c.want)
		}
	}
	return nil
}

// total returns the sum over all series of a family, of counts for histograms.
func total(f *dto.MetricFamily) (sum float64) {
	for _, m := range f.GetMetric() {
		sum += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}
