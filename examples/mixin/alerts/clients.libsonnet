// Connections that a process dials: a client, or otelws proxy to the server behind it.
function(a)
  // A server that has just come back accepts a dial now and then.
  local unreachable = |||
    instance:ws_client_handshakes_unanswered:rate15m * 900 >= %(atLeast)d
    and max_over_time(instance:ws_client_connections_active:sum[5m]) == 0
    unless %(failed)s < 0.99
  ||| % { atLeast: a.t.dialsFailedAtLeast, failed: a.share('instance', 'ws_client_handshakes_failed', 'ws_client_handshakes') };
  // Clients of a proxy cause the same failures at the server behind it.
  local unlessServer(bad, all, threshold) = 'unless on (%s) %s > %s' % [a.service, a.share('job', bad, all), a.number(threshold)];

  [
    a.alert(
      'WebSocketBackendUnreachable',
      'critical',
      unreachable,
      '{{ $labels.instance }} of {{ $labels.job }} reaches no server: {{ $value | humanize }} dials failed in 15 minutes, and no connection is open.',
      |||
        The dials got no response, or a 5xx. For otelws proxy, this is the server behind it. Check whether the
        server runs and accepts connections, whether its name resolves, and whether its certificate is valid.
        The proxy's /-/ready and its log show the error.
      |||,
      duration='1m',
    ),

    a.alert(
      'WebSocketClientHandshakeFailures',
      'warning',
      a.shareAbove('job', 'ws_client_handshakes_failed', 'ws_client_handshakes', a.t.handshakesFailed)
      + unlessServer('ws_handshakes_failed', 'ws_handshakes', a.t.handshakesFailed),
      '{{ $value | humanizePercentage }} of the dials of {{ $labels.job }} fail.',
      |||
        %s Compare http_response_status_code of ws_client_handshake_duration_seconds_count: 0 is no response,
        401 and 403 are credentials, 404 is a wrong path, 429 a limit, 502 to 504 a balancer without servers.
      ||| % a.worst('ws_client_handshakes_failed', 'ws_client_handshakes'),
      duration=a.burst,
    ),

    a.alert(
      'WebSocketClientAbnormalClosures',
      'warning',
      a.shareAbove('job', 'ws_client_connections_closed_abnormal', 'ws_client_connections_closed', a.t.abnormalDialed)
      + unlessServer('ws_connections_closed_abnormal', 'ws_connections_closed', a.t.abnormalDialed),
      '{{ $value | humanizePercentage }} of the connections that {{ $labels.job }} dialed end abnormally.',
      |||
        The server, or a hop before it, ends these connections without a close frame (1006), or because it
        failed (1011). %s Compare the initiators in ws_client_connection_duration_seconds_count{code="1006"}:
        peer means that the server or a balancer cut the connection, timeout that a network lost it, local that
        this process hung up.
      ||| % a.worst('ws_client_connections_closed_abnormal', 'ws_client_connections_closed'),
      duration=a.burst,
    ),
  ]
