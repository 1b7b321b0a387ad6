package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// Each router gives the same labels for the same connections.
func TestRouteLabels(t *testing.T) {
	routers := map[string]func(*otelws.Instrumentation) http.Handler{
		"ServeMux": newServeMux,
		"chi":      newChi,
	}
	for name, router := range routers {
		t.Run(name, func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			ws, err := otelws.New(routes, otelws.WithMeterProvider(m.MeterProvider()))
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(router(ws))
			defer srv.Close()
			for _, path := range []string{"/chat/go", "/chat/rust", "/echo", "/internal"} {
				c, _, err := websocket.Dial(t.Context(), srv.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
			}
			if c, _, err := websocket.Dial(t.Context(), srv.URL+"/nowhere", nil); err == nil {
				c.CloseNow()
				t.Error("Dial of a path that is not routed is no error")
			}

			for sample, want := range map[string]float64{
				`ws_connections_active{http_route="/chat/{room}"}`:                                        2,
				`ws_connections_active{http_route="/echo"}`:                                               1,
				`ws_connections_active{http_route="other"}`:                                               1,
				`ws_handshake_duration_seconds_count{http_response_status_code="101",http_route="other"}`: 1,
				`ws_handshake_duration_seconds_count{http_response_status_code="404",http_route="other"}`: 1,
			} {
				m.Wait(t, sample, want)
			}
		})
	}
}
