// Package otelwstest helps to test what an application records by otelws.
//
//	m := otelwstest.NewMetrics(t)
//	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
//	...
//	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
//	if diff := m.Diff(want); diff != "" {
//		t.Error(diff)
//	}
package otelwstest
