// Targets, traffic, clients and telemetry. See closures.libsonnet.
local values = import 'values.libsonnet';
local every = values.every, level = values.level;

local handshakes(ws, failed, all) = {
  ['%shandshake_duration_seconds_count{http_response_status_code="101"}' % ws]: every(all - failed),
  ['%shandshake_duration_seconds_count{http_response_status_code="403"}' % ws]: every(failed / 2),
  ['%shandshake_duration_seconds_count{http_response_status_code="500"}' % ws]: every(failed / 2),
};
local nativeHandshakes(ws, failed, all) = {
  ['%shandshake_duration_seconds{http_response_status_code="101"}' % ws]: values.native(0, all - failed, 0),
  ['%shandshake_duration_seconds{http_response_status_code="500"}' % ws]: values.native(0, 0, failed),
};

{
  local pings(missed, all) = {
    ws_heartbeat_missed_total: every(missed),
    ws_heartbeat_rtt_seconds_count: every(all - missed),
  },
  WebSocketHeartbeatsMissed: {
    fires: pings(4.5, 35),
    quiet: {
      below: pings(9, 100),
      night: pings(2.4, 3),
      'none missed': pings(0, 100),
      'no heartbeat': { ws_heartbeat_missed_total: every(0) },
    },
    native: { ws_heartbeat_missed_total: every(4.5), ws_heartbeat_rtt_seconds: values.native(0, 30, 0) },
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
  },

  local pongs(slow, all, clients=100) = {
    ws_connections_active: level(clients),
    ws_heartbeat_rtt_seconds_count: every(all),
    'ws_heartbeat_rtt_seconds_bucket{le="1.0"}': every(all - slow),
    'ws_heartbeat_rtt_seconds_bucket{le="2.5"}': every(all),
  },
  WebSocketHeartbeatsSlow: {
    level: 'instance',
    fires: pongs(4.5, 7, clients=8),
    quiet: {
      below: pongs(45, 100),
      night: pongs(2.4, 2.4),
      'four clients of seven': pongs(45, 70, clients=7),
      'in a native histogram': { ws_connections_active: level(100), ws_heartbeat_rtt_seconds: values.native(0, 55, 45) },
    },
    native: { ws_connections_active: level(8), ws_heartbeat_rtt_seconds: values.native(0, 2, 4.5) },
    silentAt: ['11m'],
    firingAt: ['17m', '30m'],
  },

  WebSocketHeartbeatSilence: {
    level: 'instance',
    fires: {
      ws_connections_active: level(6),
      ws_heartbeat_rtt_seconds_count: '0+1x20 20x180',
    },
    stranger: { ws_connections_active: level(6) },
    quiet: {
      below: { ws_connections_active: level(6), ws_heartbeat_rtt_seconds_count: every(0.1) },
      night: { ws_connections_active: level(4), ws_heartbeat_rtt_seconds_count: '0+12x20 240x180' },
      'now and then': { ws_connections_active: '6 6 6 0 6 6 6 0x193', ws_heartbeat_rtt_seconds_count: '0+12x3 36x197' },
      'never had one': { ws_connections_active: level(6) },
      'in a native histogram': { ws_connections_active: level(6), ws_heartbeat_rtt_seconds: values.native(0, 6, 0) },
    },
    native: { ws_connections_active: level(6), ws_heartbeat_rtt_seconds: '{{schema:0 count:0 buckets:[0]}}+{{schema:0 count:6 buckets:[6]}}x20 {{schema:0 count:120 buckets:[120]}}x180' },
    silentAt: ['28m'],
    firingAt: ['31m', '45m'],
  },
  WebSocketNoHeartbeat: {
    severity: 'info',
    fires: { ws_connections_active: level(6) },
    quiet: {
      below: { ws_connections_active: level(6), ws_heartbeat_rtt_seconds_count: every(1) },
      night: { ws_connections_active: level(4) },
      'in a native histogram': { ws_connections_active: level(6), ws_heartbeat_rtt_seconds: values.native(0, 6, 0) },
      'none answered': { ws_connections_active: level(6), ws_heartbeat_missed_total: every(1) },
    },
    silentAt: ['59m'],
    firingAt: ['61m', '120m'],
  },

  local writes(waiting, active) = { ws_write_time_seconds_total: every(60 * waiting), ws_connections_active: level(active) },
  WebSocketWritesBlocked: {
    level: 'instance',
    fires: writes(3, 40),
    quiet: { below: writes(4, 100), night: writes(1.6, 1) },
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
  },

  local sizes(oversized, all) = {
    ws_message_bytes_count: every(all),
    'ws_message_bytes_bucket{le="65536.0"}': every(0),
    'ws_message_bytes_bucket{le="262144.0"}': every(all - oversized),
  },
  WebSocketOversizedMessages: {
    fires: sizes(4.5, 60),
    quiet: {
      below: sizes(4.5, 110),
      night: sizes(2.4, 3),
      'no messages': sizes(0, 0),
      'native, and small': { ws_message_bytes: values.native(16, 100, 100) },
      'native, and none': { ws_message_bytes: values.native(18, 0, 0) },
    },
    native: { ws_message_bytes: values.native(18, 55, 4.5) },
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
  },

  local errors(wrong, opened) = {
    'ws_protocol_errors_total{error_type="masking"}': every(wrong),
    ws_connections_opened_total: every(opened),
  },
  WebSocketProtocolErrors: {
    fires: errors(4.5, 16),
    quiet: { below: errors(8, 50), night: errors(2.4, 3) },
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
  },

  WebSocketHandshakeFailures: {
    fires: handshakes('ws_', 4.5, 35),
    quiet: { below: handshakes('ws_', 9, 100), night: handshakes('ws_', 2.4, 3) },
    native: nativeHandshakes('ws_', 4.5, 35),
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
  },

  // Of a minute's 1006, those after 58 to 63 s of silence.
  local cuts(at60, all) = {
    'ws_connection_idle_seconds_count{code="1006", initiator="peer"}': every(all),
    'ws_connection_idle_seconds_bucket{code="1006", initiator="peer", le="58.0"}': every(1),
    'ws_connection_idle_seconds_bucket{code="1006", initiator="peer", le="63.0"}': every(1 + at60),
  },
  WebSocketIdleConnectionsCut: {
    extra: { silence: '60 s' },
    fires: cuts(4, 6),
    quiet: {
      below: cuts(9, 20),
      night: cuts(1.4, 2.4),
      'among many of other kinds': cuts(1.4, 2.4) { 'ws_connections_closed_total{code="1011"}': every(100) },
      'by this side': {
        'ws_connection_idle_seconds_count{code="1006", initiator="local"}': every(10),
        'ws_connection_idle_seconds_bucket{code="1006", initiator="local", le="58.0"}': every(0),
        'ws_connection_idle_seconds_bucket{code="1006", initiator="local", le="63.0"}': every(10),
      },
    },
    silentAt: ['11m'],
    firingAt: ['17m', '30m'],
    // Each limit by itself, in one of two clusters and namespaces, close to the thresholds.
    also: [
      {
        name: limit + ' s',
        labels: ['silence'],
        series: values.merge([
          local series(name) = '%s{cluster="%s", namespace="%s", job="%s"' % ([name] + l[0:3]);
          {
            [series('ws_connection_idle_seconds_count') + ', code="1006", initiator="peer"}']: every(l[3]),
            [series('ws_connection_idle_seconds_bucket') + ', code="1006", initiator="peer", le="%s"}' % limits[limit][0]]: every(0),
            [series('ws_connection_idle_seconds_bucket') + ', code="1006", initiator="peer", le="%s"}' % limits[limit][1]]: every(l[4]),
          }
          for l in [['a', 'a', 'j', 4, 2.4], ['b', 'a', 'j', 2.4, 2], ['a', 'b', 'j', 2.4, 2], ['a', 'a', 'part', 10, 4]]
        ]),
        fires: [{ cluster: 'a', namespace: 'a', job: 'j', silence: limit + ' s' }],
      }
      for limit in std.objectFields(limits)
    ],
    local limits = (import '../config.libsonnet')._config.idleLimits,
  },

  local dials(failed, active) = {
    'ws_client_handshake_duration_seconds_count{http_response_status_code="0"}': every(failed),
    'ws_client_handshake_duration_seconds_count{http_response_status_code="403"}': every(1),
    ws_client_connections_active: active,
  },
  WebSocketBackendUnreachable: {
    level: 'instance',
    severity: 'critical',
    fires: dials(0.3, '0x200'),
    quiet: {
      below: dials(0.19, '0x200'),
      night: dials(0, '0x200'),
      'one is open': dials(1, '1 0x2 1 0x2 1x193'),
      'all were': { 'ws_client_handshake_duration_seconds_count{http_response_status_code="0"}': every(1) },
    },
    native: {
      'ws_client_handshake_duration_seconds{http_response_status_code="502"}': values.native(0, 0.3, 0),
      ws_client_connections_active: '0x200',
    },
    silentAt: ['11m'],
    firingAt: ['12m', '30m'],
  },
  WebSocketClientHandshakeFailures: {
    fires: handshakes('ws_client_', 4.5, 35) + handshakes('ws_', 7, 100),
    quiet: {
      below: handshakes('ws_client_', 9, 100) + handshakes('ws_', 50, 100),
      nearly: handshakes('ws_client_', 9, 100),
      night: handshakes('ws_client_', 2.4, 3),
      'a proxy': handshakes('ws_client_', 15, 100) + handshakes('ws_', 15, 100),
    },
    native: nativeHandshakes('ws_client_', 4.5, 35),
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
  },
  local closes(ws, abnormal, normal) = {
    ['%sconnections_closed_total{code="1000"}' % ws]: every(normal),
    ['%sconnections_closed_total{code="1006"}' % ws]: every(abnormal),
  },
  WebSocketClientAbnormalClosures: {
    fires: closes('ws_client_', 4.5, 16) + closes('ws_', 15, 85),
    quiet: {
      below: closes('ws_client_', 8, 40) + closes('ws_', 50, 50),
      nearly: closes('ws_client_', 8, 40),
      night: closes('ws_client_', 2.4, 0),
      'a proxy': closes('ws_client_', 30, 70) + closes('ws_', 30, 70),
    },
    silentAt: ['7m'],
    firingAt: ['12m', '30m'],
  },

  local descriptors(open, max) = {
    process_open_fds: level(open),
    process_max_fds: level(max),
    ws_connections_active: level(open - 20),
  },
  WebSocketDescriptorsNearLimit: {
    level: 'instance',
    severity: 'critical',
    fires: descriptors(850, 1000),
    quiet: {
      below: descriptors(790, 1000),
      'without a limit': descriptors(850, 1.8446744073709552e19),
      'no server': { process_open_fds: level(950), process_max_fds: level(1000) },
    },
    silentAt: ['1m'],
    firingAt: ['3m', '30m'],
    also: [{
      name: 'a process that only dials',
      labels: [],
      series: {
        'process_open_fds{job="feed", instance="a"}': level(950),
        'process_max_fds{job="feed", instance="a"}': level(1000),
        'ws_client_connections_active{job="feed", instance="a"}': level(900),
      },
      fires: [{ job: 'feed', instance: 'a' }],
    }],
  },
  WebSocketRestarting: {
    level: 'instance',
    fires: { process_start_time_seconds: '1x20 2x5 3x5 4x180', ws_connections_active: level(1) },
    stranger: { process_start_time_seconds: '1x20 2x5 3x5 4x180' },
    strangerPod: self.stranger,
    quiet: {
      below: { process_start_time_seconds: '1x20 2x5 3x180', ws_connections_active: level(1) },
      deploys: { process_start_time_seconds: '1x20 2x35 3x35 4x180', ws_connections_active: level(1) },
      'no server': { process_start_time_seconds: '1x20 2x5 3x5 4x180' },
    },
    silentAt: ['30m', '80m'],
    firingAt: ['35m', '49m'],
  },

  WebSocketTelemetryLost: {
    level: 'instance',
    extra: { signal: 'traces' },
    fires: { 'otlp_spans_dropped_total{reason="queue_full"}': every(2), 'otlp_spans_dropped_total{reason="export_failed"}': every(2.5) },
    quiet: {
      below: { 'otlp_spans_dropped_total{reason="queue_full"}': every(1.2), 'otlp_spans_dropped_total{reason="export_failed"}': every(1.2) },
      'for ten minutes': { 'otlp_spans_dropped_total{reason="export_failed"}': '0x20 0+100x10 1000x170' },
    },
    silentAt: ['17m'],
    firingAt: ['22m', '35m'],
    local pushes(labels, failed) = {
      ['otlp_metric_exports_total{%s}' % labels]: every(1),
      ['otlp_metric_exports_failed_total{%s}' % labels]: every(failed),
    },
    also: [{
      name: 'half of the pushes, of each instance by itself',
      labels: ['signal'],
      series: values.merge([
        pushes('cluster="%s", namespace="%s", job="j", pod="%s", instance="i"' % l, if l == ['a', 'a', 'a'] then 0.6 else 0.1)
        + pushes('cluster="%s", namespace="%s", job="j", pod="%s", instance="i", server_address="idle"' % l, 0) + {
          ['otlp_metric_exports_total{cluster="%s", namespace="%s", job="j", pod="%s", instance="i", server_address="idle"}' % l]: every(0),
        }
        for l in [['a', 'a', 'a'], ['b', 'a', 'a'], ['a', 'b', 'a'], ['a', 'a', 'b']]
      ]),
      fires: [{ cluster: 'a', namespace: 'a', job: 'j', pod: 'a', instance: 'i', signal: 'metrics' }],
    }],
  },
  WebSocketCollectorQueueFull: {
    level: 'instance',
    extra: { exporter: 'otlp/traces' },
    fires: { 'otelcol_exporter_queue_size{exporter="otlp/traces"}': level(850), 'otelcol_exporter_queue_capacity{exporter="otlp/traces"}': level(1000) },
    quiet: {
      below: { 'otelcol_exporter_queue_size{exporter="otlp/traces"}': level(790), 'otelcol_exporter_queue_capacity{exporter="otlp/traces"}': level(1000) },
    },
    silentAt: ['4m'],
    firingAt: ['6m', '30m'],
  },
  WebSocketCollectorDropsData: {
    level: 'instance',
    extra: { exporter: 'otlp/traces', signal: 'exporter_enqueue_failed_spans' },
    fires: {
      'otelcol_exporter_send_failed_spans_total{exporter="otlp/traces"}': every(2),
      'otelcol_exporter_enqueue_failed_spans{exporter="otlp/traces"}': every(4.5),
    },
    quiet: {
      below: { 'otelcol_receiver_refused_metric_points_total{receiver="otlp"}': every(2.4) },
      'what it sent': { 'otelcol_exporter_sent_spans_total{exporter="otlp/traces"}': every(1000) },
    },
    silentAt: ['11m'],
    firingAt: ['17m', '30m'],
    local kinds = [
      'exporter_send_failed_spans',
      'exporter_send_failed_metric_points',
      'exporter_enqueue_failed_spans',
      'exporter_enqueue_failed_metric_points',
      'receiver_refused_spans',
      'receiver_refused_metric_points',
    ],
    also: [{
      name: 'each kind by itself, close to the threshold',
      labels: ['signal'],
      series: values.merge([
        {
          // Two halves that are too little each, and a whole that is too little.
          ['otelcol_%s_total{%s, instance="1", exporter="x"}' % [kind, where]]: every(2),
          ['otelcol_%s_total{%s, instance="1", exporter="x", transport="http"}' % [kind, where]]: every(2),
          ['otelcol_%s_total{%s, instance="2", exporter="x"}' % [kind, where]]: every(2.4),
        }
        for kind in kinds
        for where in ['cluster="c", namespace="n", job="j", pod="p"']
      ]),
      fires: [{ cluster: 'c', namespace: 'n', job: 'j', pod: 'p', instance: '1', signal: kind } for kind in kinds],
    }],
  },
  WebSocketSeriesOverflow: {
    level: 'instance',
    fires: { 'ws_connections_active{otel_metric_overflow="true"}': level(1) },
    quiet: {
      below: { 'ws_connections_opened_total{tier="pro"}': every(1) },
      'no WebSockets': { 'http_requests_total{otel_metric_overflow="true"}': every(1) },
    },
    silentAt: ['0m'],
    firingAt: ['3m', '30m'],
  },
}
