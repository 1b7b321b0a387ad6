package otelws_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// One line adds the instrumentation to an existing handler.
func ExampleInstrumentation_Handler() {
	exp, err := exporter.New(exporter.WithoutRuntimeMetrics())
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(
		otelws.WithMeterProvider(exp.MeterProvider()),
		otelws.WithEnum("tier", func(r *http.Request) string { return r.Header.Get("X-Tier") }, "free", "pro"),
	)
	if err != nil {
		log.Fatal(err)
	}
	left := make(chan struct{})
	srv := httptest.NewServer(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_, _, _ = c.Read(r.Context())
	})))
	defer srv.Close()

	c, _, err := websocket.Dial(context.Background(), srv.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Tier": {"pro"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = c.Close(websocket.StatusGoingAway, "")
	<-left

	scrape := httptest.NewRecorder()
	exp.Handler().ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for lines := bufio.NewScanner(scrape.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "ws_connections") && strings.Contains(lines.Text(), `tier="pro"`) {
			fmt.Println(lines.Text())
		}
	}
	// Output:
	// ws_connections_active{tier="pro"} 0
	// ws_connections_closed_total{code="1000",tier="pro"} 0
	// ws_connections_closed_total{code="1001",tier="pro"} 1
	// ws_connections_closed_total{code="1005",tier="pro"} 0
	// ws_connections_closed_total{code="1006",tier="pro"} 0
	// ws_connections_opened_total{tier="pro"} 1
}

// New refuses a configuration that exceeds the budget, and shows the multiplication.
func ExampleWithSeriesBudget() {
	_, err := otelws.New(
		otelws.WithEnum("tier", nil, "free", "pro"),
		otelws.WithRoutes("/chat", "/feed", "/admin"),
		otelws.WithSeriesBudget(1000),
	)
	fmt.Println(strings.NewReplacer(" (", "\n(", "; ", "\n").Replace(err.Error()))
	// Output:
	// otelws: worst case of 6169 time series is above the budget of 1000: declare fewer values or raise WithSeriesBudget
	// (ws.handshake.duration: 3 tier × 4 http.route × 15 http.response.status_code × 17 series = 3060
	// ws.connection.duration: 20 code × 3 initiator × 14 series = 840
	// ws.client.connection.duration: 20 code × 3 initiator × 14 series = 840
	// and 27 more instruments)
}
