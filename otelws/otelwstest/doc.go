// Package otelwstest tests the metrics that an application records with otelws.
//
//	func TestGreeting(t *testing.T) {
//		m := otelwstest.NewMetrics(t)
//		ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
//		if err != nil {
//			t.Fatal(err)
//		}
//		server, client := otelwstest.Pair(t, ws, nil, nil)
//		go greet(server)
//		...
//		m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
//		if diff := m.Diff(want); diff != "" {
//			t.Error(diff)
//		}
//	}
package otelwstest
