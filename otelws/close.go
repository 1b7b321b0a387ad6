package otelws

import "fmt"

// Close removes i from its MeterProvider, with its callbacks and histograms. It does not close
// connections; see [Instrumentation.Drain]. Later calls do nothing.
//
// Connections that are open, and handshakes in progress, continue, and are counted until they end. i
// is removed at the first collection after the last of them has ended. New connections through the
// Handlers and Transports of i are not watched.
//
// While the MeterProvider has another Instrumentation, the counts of i stay in the sums, because a
// counter that falls looks like a restart. When the last Instrumentation is removed, all series of
// observable instruments end. Collect or flush before that.
//
// The OpenTelemetry API cannot remove synchronous instruments. Therefore the series of
// ws.heartbeat.rtt, ws.connection.duration and ws.handshake.duration stay, and so do the message
// sizes if an ordinary histogram records them.
func (i *Instrumentation) Close() error {
	if i.closed.Swap(true) {
		return nil
	}
	m := i.members
	m.joining.Lock()
	defer m.joining.Unlock()
	m.withdraw(append(worstCases(server, i.config, m.meter), worstCases(client, i.config, m.meter)...))
	m.mu.Lock()
	if i.isIdle() {
		m.remove(i)
	}
	last := len(m.all) == 0
	m.mu.Unlock()
	if !last || m.registration == nil {
		return nil
	}
	err := m.registration.Unregister()
	m.registration = nil
	if err != nil {
		return fmt.Errorf("otelws: failed to unregister a callback: %w", err)
	}
	return nil
}
