// Handshakes, heartbeats, messages and writes.
function(a)
  local instanceText = '{{ $labels.instance }} of {{ $labels.job }}';

  [
    a.alert(
      'WebSocketHandshakeFailures',
      'warning',
      a.shareAbove('job', 'ws_handshakes_failed', 'ws_handshakes', a.t.handshakesFailed),
      '{{ $value | humanizePercentage }} of the handshakes with {{ $labels.job }} fail.',
      |||
        %s Compare http_response_status_code of ws_handshake_duration_seconds_count: 403 is a foreign origin,
        401 an expired token, 404 a wrong path, 426 a proxy that drops Upgrade, 429 a limit, 5xx a failure of
        the server, 0 a client that left before the response.
      ||| % a.worst('ws_handshakes_failed', 'ws_handshakes'),
      duration=a.burst,
    ),

    a.alert(
      'WebSocketHeartbeatsMissed',
      'warning',
      a.shareAbove('job', 'ws_heartbeats_missed', 'ws_heartbeats', a.t.heartbeatsMissed),
      '{{ $value | humanizePercentage }} of the heartbeats of {{ $labels.job }} are not answered.',
      |||
        %s If it is one instance, check its CPU and scheduler latency. If it is all instances, the network
        fails, clients are suspended, or a hop drops idle connections and tells nobody. Run otelws probe from
        the clients' network: it finds the limit of such a hop.
      ||| % a.worst('ws_heartbeats_missed', 'ws_heartbeats'),
      duration=a.burst,
    ),

    // Some clients always have a poor network. Half of them do not, and neither do five
    // at the same time.
    a.alert(
      'WebSocketHeartbeatsSlow',
      'warning',
      a.shareAbove('instance', 'ws_pongs_slow', 'ws_pongs', a.t.heartbeatsSlow)
      + 'and %s * instance:ws_connections_active:sum >= %d' % [a.share('instance', 'ws_pongs_slow', 'ws_pongs'), a.t.slowConnections],
      '{{ $value | humanizePercentage }} of the heartbeats of %s take longer than a second.' % instanceText,
      |||
        The server sees a pong when the handler reads. Handlers that wait for a disk, a database or a lock read
        late: check ws_message_process_duration_seconds, CPU and go_sched_latencies_seconds. If all instances
        are slow, check the backend, the balancer and the network that they share.
      |||,
      duration='10m',
    ),

    // The service has heartbeats, and this instance has none. The instance must be five
    // minutes old, because its first pong may take that long. The last value of an instance
    // that pushed and was killed lasts hardly longer than its pongs.
    a.alert(
      'WebSocketHeartbeatSilence',
      'warning',
      |||
        instance:ws_connections_active:sum
        and instance:ws_connections_active:sum offset 5m >= %(connections)d
        and on (%(S)s) sum_over_time(job:ws_pongs:rate5m[6h]) > 0
        unless on (%(I)s) instance:ws_pongs:rate5m > 0
      ||| % { I: a.instance, S: a.service, connections: a.t.silentConnections },
      '%s has {{ $value }} connections and has had no pong for ten minutes.' % instanceText,
      |||
        The service had heartbeats before. Check whether this instance still starts them, and whether its
        handlers read: the server sees a pong when the handler reads. A goroutine profile shows handlers that
        wait for each other. Until you repair it, clients that vanished count as open.
      |||,
      duration='5m',
    ),
    a.alert(
      'WebSocketNoHeartbeat',
      'info',
      |||
        min_over_time(job:ws_connections_active:sum[5m]) >= %(connections)d
        unless on (%(S)s) sum_over_time(job:ws_heartbeats:rate5m[6h]) > 0
      ||| % { S: a.service, connections: a.t.silentConnections },
      '{{ $labels.job }} has had no heartbeat for an hour.',
      |||
        Clients that vanish without a close frame count as open, and proxies cut idle connections. Start
        heartbeats: otelws.WithHeartbeat or Heartbeat. If the clients send pings, these keep connections open
        through proxies: silence this alert.
      |||,
      duration='1h',
    ),

    // The rate of this counter is the number of writes that wait at a time.
    a.alert(
      'WebSocketWritesBlocked',
      'warning',
      |||
        instance:ws_write_time_seconds:rate5m > %(share)s * avg_over_time(instance:ws_connections_active:sum[5m])
        and instance:ws_write_time_seconds:rate5m > %(atLeast)s
      ||| % { share: a.number(a.t.writesBlocked), atLeast: a.number(a.t.writesBlockedAtLeast) },
      '{{ $value | humanize }} writes of %s wait for their client at any time.' % instanceText,
      |||
        More than one connection in twenty waits, because clients read more slowly than the server sends. Put a
        deadline on writes. Drop or merge messages for clients that fall behind, and close clients that stay
        behind.
      |||,
      duration='5m',
    ),

    a.alert(
      'WebSocketOversizedMessages',
      'warning',
      a.shareAbove('job', 'ws_messages_oversized', 'ws_messages_received', a.t.oversized),
      '{{ $value | humanizePercentage }} of the messages that {{ $labels.job }} receives are above 256 KiB.',
      |||
        %s The server holds each of these messages in memory, and later messages wait behind it. Find the
        sender, and set a read limit, which closes the connection with 1009. Send large files over HTTP.
      ||| % a.worst('ws_messages_oversized', 'ws_messages_received'),
      duration='5m',
    ),

    // A connection has at most one such error: otelws stops parsing there.
    a.alert(
      'WebSocketProtocolErrors',
      'warning',
      a.shareAbove('job', 'ws_protocol_errors', 'ws_connections_opened', a.t.protocolErrors),
      '{{ $value | humanizePercentage }} of the connections with {{ $labels.job }} violate the protocol.',
      |||
        error_type of ws_protocol_errors_total says how. A client library or a proxy alters frames, or somebody
        attacks the server. The access log has the User-Agent and the address.
      |||,
      duration=a.burst,
    ),

    // Each limit has a bucket around it.
    a.alert(
      'WebSocketIdleConnectionsCut',
      'warning',
      std.join('or\n', [
        local idle = a.config.idleLimits[limit];
        |||
          label_replace(
            %(share)s > %(least)s
            and job:ws_connections_cut:rate5m > %(floor)s,
            "silence", "%(limit)s s", "", ""
          )
        ||| % {
          share: 'job:ws_connections_cut_after_%ss:rate5m / job:ws_connections_cut:rate5m' % limit,
          least: a.number(a.t.silenceCut),
          floor: a.number(a.t.floor),
          limit: limit,
        }
        for limit in std.sort(std.objectFields(a.config.idleLimits), std.parseInt)
      ]),
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }} that end without a close frame end after {{ $labels.silence }} of silence.',
      |||
        A hop between client and server cuts connections that are idle for this time. Send pings within three
        quarters of it (otelws.Every(45*time.Second) for 60 s), or raise the limit. Defaults: 30 s Google
        Cloud's balancer, 55 s Heroku, 60 s nginx and AWS ALB, 100 s Cloudflare, 240 s Azure's balancer, 350 s
        AWS NLB, 600 s API Gateway. Run otelws probe from the clients' network: it shows the limit, and whether
        pings keep a connection open.
      |||,
      duration='10m',
    ),
  ]
