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
        %s See http_response_status_code of ws_handshake_duration_seconds_count: 403 is a foreign origin, 401 an expired
        token, 404 a wrong path, 426 a proxy that drops Upgrade, 429 a limit, 5xx the server itself, 0 a client that
        left before the answer.
      ||| % a.worst('ws_handshakes_failed', 'ws_handshakes'),
      duration='5m',
    ),

    a.alert(
      'WebSocketHeartbeatsMissed',
      'warning',
      a.shareAbove('job', 'ws_heartbeats_missed', 'ws_heartbeats', a.t.heartbeatsMissed),
      '{{ $value | humanizePercentage }} of the heartbeats of {{ $labels.job }} are not answered.',
      |||
        %s If it is one instance, look at its CPU and scheduler latency. If it is all of them: a hop that drops what is
        idle for less than passes between two pings, and tells nobody (otelws probe finds its limit), a network that
        fails, or clients that are suspended.
      ||| % a.worst('ws_heartbeats_missed', 'ws_heartbeats'),
      duration='5m',
    ),

    // Half of them: a network that is poor for some clients is none of ours.
    a.alert(
      'WebSocketHeartbeatsSlow',
      'warning',
      a.shareAbove('instance', 'ws_pongs_slow', 'ws_pongs', a.t.heartbeatsSlow),
      '{{ $value | humanizePercentage }} of the heartbeats of %s take longer than a second.' % instanceText,
      |||
        A pong is taken in when the handler reads. Handlers that wait for a disk, a database or a lock read late: see
        ws_message_process_duration_seconds, CPU, and go_sched_latencies_seconds. If all instances are slow, look at
        what they share: the backend, the balancer, the network.
      |||,
      duration='10m',
    ),

    // The service has heartbeats, and this instance has none.
    a.alert(
      'WebSocketHeartbeatSilence',
      'warning',
      |||
        min_over_time(instance:ws_connections_active:sum[5m]) >= %(connections)d
        and on (%(S)s) sum_over_time(job:ws_pongs:rate5m[6h]) > 0
        unless on (%(I)s) instance:ws_pongs:rate5m > 0
      ||| % { I: a.instance, S: a.service, connections: a.t.silentConnections },
      '%s has {{ $value }} connections and no pong for ten minutes.' % instanceText,
      |||
        The service had heartbeats before. Does this instance still start them, and do its handlers read, which is when
        pongs are taken in? A goroutine profile shows handlers that wait for each other. Clients that have vanished are
        not noticed meanwhile.
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
      '{{ $labels.job }} has no heartbeat.',
      |||
        Clients that vanish without a word are not noticed, and proxies cut what is idle. Start one: otelws.WithHeartbeat
        or Heartbeat. If the clients do it, their pings are enough for the proxies; silence this.
      |||,
      duration='1h',
    ),

    // The rate of this counter is how many writes wait at a time.
    a.alert(
      'WebSocketWritesBlocked',
      'warning',
      |||
        instance:ws_write_time_seconds:rate5m > %(share)s * avg_over_time(instance:ws_connections_active:sum[5m])
        and instance:ws_write_time_seconds:rate5m > %(atLeast)s
      ||| % { share: a.number(a.t.writesBlocked), atLeast: a.number(a.t.writesBlockedAtLeast) },
      '{{ $value | humanize }} writes of %s wait for their client at any time.' % instanceText,
      |||
        That is more than one connection in twenty: clients read slower than the server sends. Put a deadline on writes,
        drop or merge messages for those that fall behind, and end those that stay behind.
      |||,
      duration='5m',
    ),

    a.alert(
      'WebSocketOversizedMessages',
      'warning',
      a.shareAbove('job', 'ws_messages_oversized', 'ws_messages_received', a.t.oversized),
      '{{ $value | humanizePercentage }} of the messages that {{ $labels.job }} receives are above 256 KiB.',
      |||
        %s Each is held in memory whole, and holds up those behind it. Find the sender, and set a read limit, which
        closes with 1009; let large files go by HTTP.
      ||| % a.worst('ws_messages_oversized', 'ws_messages_received'),
      duration='5m',
    ),

    // At most one of a connection, which stops being parsed there.
    a.alert(
      'WebSocketProtocolErrors',
      'warning',
      a.shareAbove('job', 'ws_protocol_errors', 'ws_connections_opened', a.t.abnormal),
      '{{ $value | humanizePercentage }} of the connections with {{ $labels.job }} violate the protocol.',
      |||
        error_type of ws_protocol_errors_total says how. A client library or a proxy that alters frames is broken, or
        somebody tries what the server bears: see User-Agent and addresses in the access log.
      |||,
      duration='5m',
    ),

    // In a bucket around an idle limit that balancers and proxies have.
    a.alert(
      'WebSocketIdleConnectionsCut',
      'warning',
      std.join('or\n', [
        local idle = a.config.idleLimits[limit];
        |||
          label_replace(
            %(share)s > %(least)s
            and on (%(S)s) job:ws_connections_closed_abnormal:rate5m > %(floor)s,
            "silence", "%(limit)s s", "", ""
          )
        ||| % {
          S: a.service,
          share: 'job:ws_connections_cut_after_%ss:rate5m / job:ws_connections_cut:rate5m' % limit,
          least: a.number(a.t.silenceCut),
          floor: a.number(a.t.floor),
          limit: limit,
        }
        for limit in std.sort(std.objectFields(a.config.idleLimits), std.parseInt)
      ]),
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }} that end without a close frame do so after {{ $labels.silence }} of silence.',
      |||
        A hop between cuts what is idle for so long: ping within three quarters of that time (otelws.Every(45*time.Second)
        for 60 s), or raise its limit. Defaults: 30 s Google Cloud's balancer, 55 s Heroku, 60 s nginx and AWS ALB, 100 s
        Cloudflare, 240 s Azure's balancer, 350 s AWS NLB, 600 s API Gateway. otelws probe, from where the clients are,
        shows the limit and what keeps a connection.
      |||,
      duration='10m',
    ),
  ]
