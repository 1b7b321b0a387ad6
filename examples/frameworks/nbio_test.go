package frameworks

import (
	"net/http"
	"testing"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// If nbio takes over the socket of a net/http server, it reads from the given
// connection, so the connection is watched.
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
