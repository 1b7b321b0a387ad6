//go:build unix

package main_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// An exemplar in a bucket of message sizes leads from Prometheus to the trace of the
// connection in Jaeger, through the Collector.
func TestExemplarLeadsToTrace(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	must(s.Jaeger(t.Context()))(t)
	must(s.Prometheus(t.Context()))(t)
	must(s.Collector(t.Context(), "collector"))(t)
	must(s.Demo(t.Context(), 0))(t)
	var broken atomic.Int64
	talk(t, s.At.Demos[0].WebSocket, 5000, &broken)

	prom := ask(t, s.At.Prometheus)
	var trace string
	eventually(t, "an exemplar", func() error {
		found, err := prom.QueryExemplars(t.Context(), `ws_message_bytes_bucket`, time.Now().Add(-time.Minute), time.Now())
		if err != nil {
			return err
		}
		for _, series := range found {
			for _, e := range series.Exemplars {
				if trace = string(e.Labels["trace_id"]); trace != "" {
					t.Logf("le=%q: %v B, trace %s", series.SeriesLabels["le"], e.Value, trace)
					return nil
				}
			}
		}
		return fmt.Errorf("none in %v", found)
	})
	eventually(t, "the trace in Jaeger", func() error {
		req := must(http.NewRequestWithContext(t.Context(), "GET", "http://"+s.At.Jaeger+"/api/v3/traces/"+trace, nil))(t)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "otelws-demo") {
			return fmt.Errorf("%s: %.300s", resp.Status, body)
		}
		return nil
	})
	if n := broken.Load(); n != 0 {
		t.Errorf("%d connections broke", n)
	}
}
