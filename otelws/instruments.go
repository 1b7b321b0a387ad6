package otelws

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/count"
)

// definition is one row of the table of instruments. It has the names for accepted and for dialed
// connections, and their common properties.
type definition struct {
	server, client string
	unit           string
	description    string
	bounds         []float64
}

func (d definition) name(r role) string {
	if r == client {
		return d.client
	}
	return d.server
}

// Bucket bounds, in the unit of their instrument.
var (
	sizeBounds      = count.SizeBounds // 64 to 262144
	rttBounds       = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	durationBounds  = []float64{1, 5, 15, 45, 60, 300, 900, 3600, 14400, 43200, 86400}
	handshakeBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	tcpMinRTTBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	// Bounds on both sides of common idle limits of proxies and load balancers: 30, 60, 100, 240,
	// 350 and 600 s.
	idleBounds = []float64{5, 28, 32, 54, 58, 63, 97, 105, 235, 245, 345, 355, 590, 610, 3600}
)

// The instruments. The comments give their names in Prometheus.
var (
	// ws_connections_active
	connectionsActive = definition{
		server:      "ws.connections.active",
		client:      "ws.client.connections.active",
		unit:        "{connection}",
		description: "Open WebSocket connections.",
	}
	// ws_connections_opened_total
	connectionsOpened = definition{
		server:      "ws.connections.opened",
		client:      "ws.client.connections.opened",
		unit:        "{connection}",
		description: "WebSocket connections opened.",
	}
	// ws_connections_closed_total
	connectionsClosed = definition{
		server:      "ws.connections.closed",
		client:      "ws.client.connections.closed",
		unit:        "{connection}",
		description: "WebSocket connections closed, by close code.",
	}
	// ws_message_bytes
	messageReceived = definition{
		server:      "ws.message",
		client:      "ws.client.message",
		unit:        "By",
		description: "Payload size of received messages.",
		bounds:      sizeBounds[:],
	}
	// ws_message_sent_bytes
	messageSent = definition{
		server:      "ws.message.sent",
		client:      "ws.client.message.sent",
		unit:        "By",
		description: "Payload size of sent messages.",
		bounds:      sizeBounds[:],
	}
	// ws_messages_total
	messagesByKind = definition{
		server:      "ws.messages",
		client:      "ws.client.messages",
		unit:        "{message}",
		description: "Messages, by direction and kind.",
	}
	// ws_messages_size_bytes_total
	messagesSizeByKind = definition{
		server:      "ws.messages.size",
		client:      "ws.client.messages.size",
		unit:        "By",
		description: "Total payload size of messages, by direction and kind.",
	}
	// ws_heartbeat_rtt_seconds
	heartbeatRTT = definition{
		server:      "ws.heartbeat.rtt",
		client:      "ws.client.heartbeat.rtt",
		unit:        "s",
		description: "Time from sending a ping to receiving its pong.",
		bounds:      rttBounds,
	}
	// ws_heartbeat_missed_total
	heartbeatMissed = definition{
		server:      "ws.heartbeat.missed",
		client:      "ws.client.heartbeat.missed",
		unit:        "{ping}",
		description: "Heartbeat pings that were not answered in time.",
	}
	// ws_connection_duration_seconds
	connectionDuration = definition{
		server:      "ws.connection.duration",
		client:      "ws.client.connection.duration",
		unit:        "s",
		description: "Time from the end of the handshake to the end of the connection.",
		bounds:      durationBounds,
	}
	// ws_connection_idle_seconds
	connectionIdle = definition{
		server:      "ws.connection.idle",
		client:      "ws.client.connection.idle",
		unit:        "s",
		description: "Time without a byte in either direction before the end of the connection.",
		bounds:      idleBounds,
	}
	// ws_handshake_duration_seconds
	handshakeDuration = definition{
		server:      "ws.handshake.duration",
		client:      "ws.client.handshake.duration",
		unit:        "s",
		description: "Time from the request of a handshake to its response, by status.",
		bounds:      handshakeBounds,
	}
	// ws_frames_total
	frames = definition{
		server:      "ws.frames",
		client:      "ws.client.frames",
		unit:        "{frame}",
		description: "Frames, by direction and opcode.",
	}
	// ws_io_bytes_total
	ioBytes = definition{
		server:      "ws.io",
		client:      "ws.client.io",
		unit:        "By",
		description: "Bytes of WebSocket traffic, including frame headers.",
	}
	// ws_compression_wire_bytes_total
	compressionWire = definition{
		server:      "ws.compression.wire",
		client:      "ws.client.compression.wire",
		unit:        "By",
		description: "Payload bytes of compressed messages, in compressed form.",
	}
	// ws_compression_decoded_bytes_total
	compressionDecoded = definition{
		server:      "ws.compression.decoded",
		client:      "ws.client.compression.decoded",
		unit:        "By",
		description: "Payload bytes of compressed messages, in decompressed form.",
	}
	// ws_write_time_seconds_total
	writeTime = definition{
		server:      "ws.write.time",
		client:      "ws.client.write.time",
		unit:        "s",
		description: "Time spent in writes to the transport, including writes in progress.",
	}
	// ws_drain_connections_total
	drainConnections = definition{
		server:      "ws.drain.connections",
		client:      "ws.client.drain.connections",
		unit:        "{connection}",
		description: "Connections that a drain ended, by outcome.",
	}
	// ws_tcp_rtt_min_seconds
	tcpMinRTT = definition{
		server:      "ws.tcp.rtt.min",
		client:      "ws.client.tcp.rtt.min",
		unit:        "s",
		description: "Minimum TCP round-trip time of a connection so far, every five minutes and at its end.",
		bounds:      tcpMinRTTBounds,
	}
	// ws_tcp_retransmits_total
	tcpRetransmits = definition{
		server:      "ws.tcp.retransmits",
		client:      "ws.client.tcp.retransmits",
		unit:        "{segment}",
		description: "Retransmitted TCP segments, including probes of peers that do not read.",
	}
	// ws_tcp_unsent_bytes
	tcpUnsent = definition{
		server:      "ws.tcp.unsent",
		client:      "ws.client.tcp.unsent",
		unit:        "By",
		description: "Bytes that open connections have written and the kernel has not sent.",
	}
	// ws_protocol_errors_total
	protocolErrors = definition{
		server:      "ws.protocol.errors",
		client:      "ws.client.protocol.errors",
		unit:        "{error}",
		description: "Violations of the WebSocket protocol on the wire, by type.",
	}
)

// messageSizes are the definitions of message sizes. Index: direction.
var messageSizes = [count.Directions]definition{count.Receive: messageReceived, count.Transmit: messageSent}

// instruments are the instruments of one side.
type instruments struct {
	active   metric.Int64ObservableUpDownCounter
	opened   metric.Int64ObservableCounter
	closed   metric.Int64ObservableCounter
	frames   metric.Int64ObservableCounter
	io       metric.Int64ObservableCounter
	write    metric.Float64ObservableCounter
	missed   metric.Int64ObservableCounter
	drain    metric.Int64ObservableCounter
	protocol metric.Int64ObservableCounter

	messages  [count.Directions]metric.Int64Histogram // nil if they are counted histograms
	rtt       metric.Float64Histogram
	duration  metric.Float64Histogram
	idle      metric.Float64Histogram
	handshake metric.Float64Histogram

	// Observed by WithMessageKinds alone.
	messagesByKind     metric.Int64ObservableCounter
	messagesSizeByKind metric.Int64ObservableCounter

	// Observed by WithDecodedSizes alone.
	compressionWire    metric.Int64ObservableCounter
	compressionDecoded metric.Int64ObservableCounter

	// Nil without WithTCPMetrics.
	tcpMinRTT      metric.Float64Histogram
	tcpRetransmits metric.Int64ObservableCounter
	tcpUnsent      metric.Int64ObservableUpDownCounter
}

func (in *instruments) observables() []metric.Observable {
	all := []metric.Observable{
		in.active, in.opened, in.closed, in.frames, in.io, in.write, in.missed, in.drain, in.protocol,
		in.messagesByKind, in.messagesSizeByKind, in.compressionWire, in.compressionDecoded,
	}
	if in.tcpRetransmits != nil {
		all = append(all, in.tcpRetransmits, in.tcpUnsent)
	}
	return all
}

func newInstruments(meter metric.Meter, r role, cfg *config) (*instruments, error) {
	f := factory{role: r}
	in := &instruments{
		active:   create(&f, connectionsActive, meter.Int64ObservableUpDownCounter),
		opened:   create(&f, connectionsOpened, meter.Int64ObservableCounter),
		closed:   create(&f, connectionsClosed, meter.Int64ObservableCounter),
		frames:   create(&f, frames, meter.Int64ObservableCounter),
		io:       create(&f, ioBytes, meter.Int64ObservableCounter),
		write:    create(&f, writeTime, meter.Float64ObservableCounter),
		missed:   create(&f, heartbeatMissed, meter.Int64ObservableCounter),
		drain:    create(&f, drainConnections, meter.Int64ObservableCounter),
		protocol: create(&f, protocolErrors, meter.Int64ObservableCounter),

		rtt:       create(&f, heartbeatRTT, meter.Float64Histogram),
		duration:  create(&f, connectionDuration, meter.Float64Histogram),
		idle:      create(&f, connectionIdle, meter.Float64Histogram),
		handshake: create(&f, handshakeDuration, meter.Float64Histogram),

		messagesByKind:     create(&f, messagesByKind, meter.Int64ObservableCounter),
		messagesSizeByKind: create(&f, messagesSizeByKind, meter.Int64ObservableCounter),

		compressionWire:    create(&f, compressionWire, meter.Int64ObservableCounter),
		compressionDecoded: create(&f, compressionDecoded, meter.Int64ObservableCounter),
	}
	if cfg.tcp {
		in.tcpMinRTT = create(&f, tcpMinRTT, meter.Float64Histogram)
		in.tcpRetransmits = create(&f, tcpRetransmits, meter.Int64ObservableCounter)
		in.tcpUnsent = create(&f, tcpUnsent, meter.Int64ObservableUpDownCounter)
	}
	return in, errors.Join(f.errs...)
}

// factory creates the instruments of one side, and collects the errors.
type factory struct {
	role role
	errs []error
}

// create creates the instrument that d defines. O is the option type of the meter's method. All
// options used here implement every such type.
func create[T, O any](f *factory, d definition, method func(string, ...O) (T, error)) T {
	opts := []O{any(metric.WithUnit(d.unit)).(O), any(metric.WithDescription(d.description)).(O)}
	if d.bounds != nil {
		opts = append(opts, any(metric.WithExplicitBucketBoundaries(d.bounds...)).(O))
	}
	instrument, err := method(d.name(f.role), opts...)
	if err == nil && any(instrument) == nil {
		err = errors.New("the MeterProvider returned nil")
	}
	if err != nil {
		f.errs = append(f.errs, fmt.Errorf("failed to create instrument %s: %w", d.name(f.role), err))
	}
	return instrument
}
