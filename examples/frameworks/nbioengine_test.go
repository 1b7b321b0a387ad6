//go:build !race

package frameworks

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/lesismal/nbio/nbhttp"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// The engine of nbio accepts only its own connections. Connections of a Listener pass
// through unwatched and work, and the error handler is called once.
func TestNbioEngine(t *testing.T) {
	for name, mod := range map[string]int{
		"non-blocking": nbhttp.IOModNonBlocking,
		"blocking":     nbhttp.IOModBlocking,
		"mixed":        nbhttp.IOModMixed,
	} {
		t.Run(name+"/Handler", func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			w, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
			if err != nil {
				t.Fatal(err)
			}
			visitEngine(t, nbhttp.Config{Handler: w.Handler(nbioEcho()), IOMod: mod})
			m.Wait(t, handshakes("0"), 1)
			if n, _ := m.Value("ws_connections_opened_total"); n != 0 {
				t.Errorf("%v connections were opened", n)
			}
		})
		t.Run(name+"/Listener", func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			w, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
			if err != nil {
				t.Fatal(err)
			}
			visitEngine(t, nbhttp.Config{Handler: nbioEcho(), IOMod: mod, Listen: func(network, address string) (net.Listener, error) {
				l, err := net.Listen(network, address)
				if err != nil {
					return nil, err
				}
				return w.Listener(l), nil
			}})
			if n, _ := m.Value("ws_connections_opened_total"); n != 0 {
				t.Errorf("%v connections were opened", n)
			}
		})
	}
	if n := handled.Load(); n != 1 {
		t.Errorf("the error handler was told %d times", n)
	}
}

// visitEngine exchanges messages with an engine.
func visitEngine(t *testing.T, config nbhttp.Config) {
	t.Helper()
	config.Network, config.Addrs = "tcp", []string{"127.0.0.1:0"} // the engine stores the chosen port in Addrs
	e := nbhttp.NewEngine(config)
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Shutdown(context.Background()) }()
	c := dial(t, config.Addrs[0], 13)
	if c.status != http.StatusSwitchingProtocols {
		t.Fatalf("the status is %d", c.status)
	}
	talk(t, c)
}
