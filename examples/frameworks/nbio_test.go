package frameworks

import (
	"context"
	"net/http"
	"testing"

	"github.com/lesismal/nbio/nbhttp"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// nbio's own engine takes no connection but its own. Its connections pass
// unwatched, and work, and the error handler is told once.
func TestNbioEngine(t *testing.T) {
	for name, mod := range map[string]int{
		"non-blocking": nbhttp.IOModNonBlocking,
		"blocking":     nbhttp.IOModBlocking,
		"mixed":        nbhttp.IOModMixed,
	} {
		t.Run(name, func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			w, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
			if err != nil {
				t.Fatal(err)
			}
			addresses := []string{"127.0.0.1:0"} // the engine puts the port there
			e := nbhttp.NewEngine(nbhttp.Config{Network: "tcp", Addrs: addresses, Handler: w.Handler(nbioEcho()), IOMod: mod})
			if err := e.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = e.Shutdown(context.Background()) }()

			c := dial(t, addresses[0], 13)
			if c.status != http.StatusSwitchingProtocols {
				t.Fatalf("the status is %d", c.status)
			}
			talk(t, c)
			m.Wait(t, handshakes("0"), 1)
			if n, _ := m.Value("ws_connections_opened_total"); n != 0 {
				t.Errorf("%v connections were opened", n)
			}
		})
	}
	if n := handled.Load(); n != 1 {
		t.Errorf("the error handler was told %d times", n)
	}
}

// Where nbio is to take over the socket of a server of net/http, it reads the
// connection that it is given instead, and is watched.
func TestNbioTransfer(t *testing.T) {
	u := nbioUpgrader()
	u.BlockingModTrasferConnToPoller = true
	m := otelwstest.NewMetrics(t)
	w, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = u.Upgrade(w, r, nil) })
	converse(t, m, dial(t, serve(t, w.Handler(h)), 13))
}
