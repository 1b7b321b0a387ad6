//go:build unix

package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// One Prometheus scrapes two hundred instances. The test logs the samples and the
// duration of a scrape, from which the sizes of a fleet can be estimated.
func TestTwoHundredInstances(t *testing.T) {
	const instances = 200
	var targets []string
	for i := range instances {
		targets = append(targets, instance(t, i))
	}
	s := newStack(t, 15)
	s.Edit = func(text string) string {
		demos := s.At.Demos[0].Metrics + ", " + s.At.Demos[1].Metrics
		return strings.Replace(text, demos, strings.Join(targets, ", "), 1)
	}
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	prom.await(`sum(up{job="websocket"})`, equals(instances))
	prom.await(`sum(ws_connections_opened_total)`, equals(instances))
	for _, query := range []string{
		`avg(scrape_samples_scraped{job="websocket"})`,
		`sum(scrape_samples_scraped{job="websocket"})`,
		`quantile(0.5, scrape_duration_seconds{job="websocket"})`,
		`quantile(0.99, scrape_duration_seconds{job="websocket"})`,
		`prometheus_tsdb_head_series`,
	} {
		t.Logf("%s = %.4g", query, prom.await(query, above(0)))
	}
}

// instance starts a server in this process that has had one connection. It returns
// the address of its metrics.
func instance(t *testing.T, i int) string {
	t.Helper()
	exp := must(exporter.New())(t)
	ws := must(otelws.New(otelws.WithMeterProvider(exp.MeterProvider())))(t)
	server := httptest.NewServer(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_, _, _ = c.Read(r.Context())
	})))
	t.Cleanup(server.Close)
	metrics := httptest.NewServer(exp.Handler())
	t.Cleanup(metrics.Close)

	c, _, err := websocket.Dial(t.Context(), server.URL, nil)
	check(t, err)
	check(t, c.Write(t.Context(), websocket.MessageText, []byte(fmt.Sprint("instance ", i))))
	_, _, _ = c.Read(t.Context())
	_ = c.CloseNow()
	return strings.TrimPrefix(metrics.URL, "http://")
}
