// Rows of what servers see of their connections.
function(lib, colours, config)
  local row(title, panels, width=8, height=9, collapsed=false) = { title: title, panels: panels, width: width, height: height, collapsed: collapsed };
  local cut = 'code="1006", initiator="peer"';
  local quantiles(name, matchers='') = [
    lib.target(lib.orZero(lib.quantile(q[0], name, matchers)), q[1], lib.exemplars)
    for q in [[0.5, '50 %'], [0.95, '95 %'], [0.99, '99 %']]
  ];
  local size = lib.colours(colours.quantiles) + lib.capped(262144, '256 KiB or more');
  local received = 'network_io_direction="receive"';
  local byKind(name, direction) = [
    lib.target(lib.sum(lib.rate(name, 'network_io_direction="%s"' % direction), 'kind') + '\nor on ()\n' + lib.zeroOf('kind', 'none'), '{{kind}}'),
  ];
  local closed(ws) = [lib.target(lib.sum(lib.rate(ws + 'connections_closed_total'), 'code') + '\nor on ()\n' + lib.zeroOf('code', '1000'), '{{code}}')];
  local handshakes(ws) = [lib.target(lib.count(ws + 'handshake_duration_seconds', by='http_response_status_code') + '\nor on ()\n' + lib.zeroOf('http_response_status_code', '101'), '{{http_response_status_code}}')];

  [
    row('At a glance', [
      lib.stat('Connections', 'Open now, on all chosen instances.', [lib.target(lib.orZeroWhenGone(lib.sum(lib.metric('ws_connections_active'))), '')]),
      lib.stat('Instances', 'Processes that show WebSocket metrics.', [lib.target(lib.orZeroWhenGone('count(group by (%s) (%s))' % [std.join(', ', config.instanceLabels), lib.sockets]), '')])
      + { options+: { graphMode: 'none' } },
      lib.stat('Down', 'WebSocket servers that do not answer their scrape, and those that pushed and fell silent. Needs the recording rules.', [
        lib.target(lib.orZeroWhenGone('count(%s == 0 and on (%s) instance:ws_server:info or %s)' % [
          lib.metric('up'),
          std.join(', ', config.instanceLabels),
          lib.metric('instance:ws_vanished_connections_active:sum'),
        ]), ''),
      ])
      + lib.thresholds([['red', 1]]) + { options+: { graphMode: 'none' } },
      lib.stat('Alerts', 'Firing now. The runbook says what to do.', [
        lib.target(lib.orZeroWhenGone('count(ALERTS{alertname=~"WebSocket.+", alertstate="firing", cluster=~"$cluster", namespace=~"$namespace", job=~"$job", instance=~"$instance|"})'), ''),
      ]) + lib.thresholds([['orange', 1]]) + { options+: { graphMode: 'none' } },
      lib.stat('Opened', 'Connections opened.', [lib.target(lib.orZeroWhenGone(lib.sum(lib.rate('ws_connections_opened_total'))), '')], 'suffix:/s'),
      lib.stat('Abnormal closures', 'Share of the connections that end without a close frame (1006) or since the server failed (1011). 0 while none end.', [
        lib.target(lib.orZeroWhenGone('(%s / %s) >= 0' % [
          lib.sum(lib.rate('ws_connections_closed_total', 'code=~"%s"' % config.abnormalCodes)),
          lib.sum(lib.rate('ws_connections_closed_total')),
        ]), ''),
      ], 'percentunit') + lib.decimals(1) + lib.thresholds([['orange', config.thresholds.abnormalUnusual], ['red', config.thresholds.abnormal]]),
      lib.stat('Heartbeat, 95 %', 'Ping to pong: 95 of 100 are as quick as this. 0 while there are none.', [lib.target(lib.orZeroWhenGone(lib.quantile(0.95, 'ws_heartbeat_rtt_seconds')), '')], 's')
      + lib.capped(2.5, '2.5 s or more') + lib.thresholds([['orange', 0.5], ['red', 1]]),
      lib.stat('Descriptors', 'Of the fullest instance, as a share of its limit.', [
        lib.target(lib.orZeroWhenGone('max(%s)' % lib.of('(%s / %s)' % [lib.metric('process_open_fds'), lib.metric('process_max_fds')])), ''),
      ], 'percentunit') + lib.decimals(1) + lib.thresholds([['orange', 0.6], ['red', config.thresholds.descriptors]]),
    ], width=3, height=4),

    row('Connections', [
      lib.timeseries('Connections by service', 'Open connections of each job. A step down that does not come back is a balancer or a network; a slow rise without end, handlers that do not end.', [
        lib.target(lib.sum(lib.metric('ws_connections_active'), 'job'), '{{job}}'),
      ]) + lib.stacked,
      lib.timeseries('Connections, ten fullest instances', 'Much less than the others have: a balancer that gives it none, or a recent restart. Connections stay where they are, so after a deploy the last one has the least.', [
        lib.target(lib.top('ws_connections_active'), '{{instance}}'),
      ]),
      lib.timeseries('Opened and closed', 'Apart for long means a gauge that rises or falls. Both high beside few open ones: clients reconnect in a loop.', [
        lib.target(lib.orZero(lib.sum(lib.rate('ws_connections_opened_total'))), 'opened'),
        lib.target(lib.orZero(lib.sum(lib.rate('ws_connections_closed_total'))), 'closed'),
      ], 'suffix:/s') + lib.colours(colours.flow),
      lib.timeseries('Closed by code', 'The first close frame in either direction. 1006: none was seen.', closed('ws_'), 'suffix:/s')
      + lib.stacked + lib.colours(colours.codes),
      lib.timeseries('1006 by initiator', 'peer: the socket was closed or reset by the client, or by a proxy between. timeout: a client that vanished. local: this server hung up.', [
        lib.target(lib.count('ws_connection_duration_seconds', 'code="1006"', by='initiator') + '\nor on ()\n' + lib.zeroOf('initiator', 'peer'), '{{initiator}}'),
      ], 'suffix:/s') + lib.stacked + lib.colours(colours.initiators),
      lib.timeseries('Lifetimes', 'Of connections that ended. Many at one round figure: a proxy cuts them. 0 while none end.', quantiles('ws_connection_duration_seconds'), 's')
      + lib.colours(colours.quantiles) + lib.capped(86400, '1 day or more'),
      lib.timeseries('1006 by the peer, after the silence of a limit', 'Of the connections that the other side ended without a close frame, those that had been silent for as long as a balancer or a proxy allows. Where one of them is near all of them, a hop between cuts there: ping within three quarters of that time.', [
        lib.target(lib.orZero(lib.between('ws_connection_idle_seconds', config.idleLimits[limit][0], config.idleLimits[limit][1], cut)), limit + ' s')
        for limit in std.sort(std.objectFields(config.idleLimits), std.parseInt)
      ] + [lib.target(lib.orZero(lib.count('ws_connection_idle_seconds', cut)), 'all of them')], 'suffix:/s')
      + lib.colours({ 'all of them': ['text'] }),
      lib.timeseries('Drained', 'Connections that a drain said goodbye to, and those that it cut at its deadline.', [
        lib.target(lib.sum(lib.rate('ws_drain_connections_total'), 'outcome') + '\nor on ()\n' + lib.zeroOf('outcome', 'closed'), '{{outcome}}'),
      ], 'suffix:/s') + lib.stacked + lib.colours(colours.outcomes),
      lib.timeseries('Protocol errors', 'Violations of RFC 6455, by kind: a broken client or proxy, or somebody who tries.', [
        lib.target(lib.sum(lib.rate('ws_protocol_errors_total'), 'error_type') + '\nor on ()\n' + lib.zeroOf('error_type', 'masking'), '{{error_type}}'),
      ], 'suffix:/s'),
    ]),

    row('Handshakes', [
      lib.timeseries('Handshakes by status', '101 is a connection. 401 an expired token, 403 a foreign origin, 426 a proxy that drops Upgrade, 5xx the server itself.', handshakes('ws_'), 'suffix:/s')
      + lib.stacked + lib.colours(colours.statuses),
      lib.timeseries('Handshake time', 'From the request to the response: authentication is in it.', quantiles('ws_handshake_duration_seconds'), 's')
      + lib.colours(colours.quantiles) + lib.capped(10, '10 s or more'),
      lib.timeseries('Refused, of all handshakes', 'An alert fires above %g %%.' % (100 * config.thresholds.handshakesFailed), [
        lib.target(lib.orZero('(%s) / (%s) >= 0' % [
          lib.count('ws_handshake_duration_seconds', 'http_response_status_code!="101"'),
          lib.count('ws_handshake_duration_seconds'),
        ]), 'refused'),
      ], 'percentunit') + lib.colours({ refused: ['orange'] }),
    ]),

    row('Heartbeats', [
      lib.timeseries('Round trip', 'Ping to pong, whoever sent the ping. A pong is taken in when the handler reads: slow handlers show here too.', quantiles('ws_heartbeat_rtt_seconds'), 's')
      + lib.colours(colours.quantiles) + lib.capped(2.5, '2.5 s or more'),
      lib.timeseries('Missed, of all heartbeats', 'Clients that vanished, or a network or a proxy that loses them. An alert fires above %g %%.' % (100 * config.thresholds.heartbeatsMissed), [
        lib.target(lib.orZero('%(missed)s\n/ (%(missed)s + (%(answered)s or %(zero)s)) >= 0' % {
          missed: lib.sum(lib.rate('ws_heartbeat_missed_total')),
          answered: lib.count('ws_heartbeat_rtt_seconds'),
          zero: lib.zero,
        }), 'missed'),
      ], 'percentunit') + lib.colours({ missed: ['red'] }),
      lib.timeseries('Missed, ten worst instances', 'One alone: its CPU, its scheduler latency, its network.', [
        lib.target(lib.topRate('ws_heartbeat_missed_total'), '{{instance}}'),
      ], 'suffix:/s'),
    ]),

    row('Messages', [
      lib.timeseries('Messages', 'A second.', [
        lib.target(lib.orZero(lib.count('ws_message_bytes')), 'receive'),
        lib.target(lib.orZero(lib.count('ws_message_sent_bytes')), 'transmit'),
      ], 'suffix:/s') + lib.colours(colours.directions),
      lib.timeseries('Bytes on the wire', 'Frame headers included, TLS not.', [
        lib.target(lib.sum(lib.rate('ws_io_bytes_total'), 'network_io_direction') + '\nor on ()\n' + lib.zeroOf('network_io_direction', 'receive'), '{{network_io_direction}}'),
      ], 'Bps') + lib.colours(colours.directions),
      lib.timeseries('Writes waiting, ten worst instances', 'How many writes wait for their client at a time: slow consumers.', [
        lib.target(lib.topRate('ws_write_time_seconds_total'), '{{instance}}'),
      ]),
      lib.timeseries('Size received', 'Of a message. With permessage-deflate, as compressed.', quantiles('ws_message_bytes'), 'bytes') + size,
      lib.timeseries('Size sent', 'Of a message. With permessage-deflate, as compressed.', quantiles('ws_message_sent_bytes'), 'bytes') + size,
      lib.heatmap('Sizes received', 'The row +Inf is of messages above 256 KiB: each is held in memory whole.', [
        // Native histograms come as they are.
        lib.target(
          'sum by (le) (increase(%s[$__rate_interval]))' % lib.metric('ws_message_bytes_bucket')
          + (if config.nativeHistograms then '\nor\nsum(increase(%s[$__rate_interval]))' % lib.metric('ws_message_bytes') else '')
          + '\nor on ()\n' + lib.zeroOf('le', '64.0'),
          '{{le}}',
          { format: 'heatmap' },
        ),
      ], 'bytes'),
      lib.timeseries('Frames by opcode', 'Control frames too. Many continuations: small write buffers.', [
        lib.target(lib.sum(lib.rate('ws_frames_total'), 'network_io_direction, opcode') + '\nor on ()\n' + lib.zeroOf('opcode', 'text'), '{{network_io_direction}} {{opcode}}'),
      ], 'suffix:/s'),
    ]),

    row('Messages by kind', [
      lib.timeseries('Received, by kind', 'With WithMessageKinds of otelws, or --message-kinds of the proxy. other: a kind that is not declared, or was not found in the beginning. A jump after a release shows which messages it sends.', byKind('ws_messages_total', 'receive'), 'suffix:/s')
      + lib.stacked,
      lib.timeseries('Sent, by kind', 'One message to a room of a thousand is a thousand here.', byKind('ws_messages_total', 'transmit'), 'suffix:/s') + lib.stacked,
      lib.timeseries('Share of the messages received', 'Steady while clients do the same as ever, however many there are. A rising other is a client that speaks another version.', [
        lib.target('(%(kinds)s\n/ ignoring (kind) group_left\n%(all)s) >= 0\nor on ()\n%(zero)s' % {
          kinds: lib.sum(lib.rate('ws_messages_total', received), 'kind'),
          all: lib.sum(lib.rate('ws_messages_total', received)),
          zero: lib.zeroOf('kind', 'none'),
        }, '{{kind}}'),
      ], 'percentunit') + lib.max(1),
      lib.timeseries('Bytes received, by kind', 'Of payloads; with permessage-deflate, as compressed.', byKind('ws_messages_size_bytes_total', 'receive'), 'Bps') + lib.stacked,
      lib.timeseries('Bytes sent, by kind', 'Of payloads; with permessage-deflate, as compressed.', byKind('ws_messages_size_bytes_total', 'transmit'), 'Bps') + lib.stacked,
      lib.timeseries('Time in the handler by kind, 95 %', 'With WithMessageKinds of package tracing: which message is slow.', [
        lib.target(lib.quantile(0.95, 'ws_message_process_duration_seconds', 'kind!=""', by='kind') + '\nor on ()\n' + lib.zeroOf('kind', 'none'), '{{kind}}', lib.exemplars),
      ], 's'),
    ]),

    row('Messages by trace', [
      lib.timeseries('Time in the handler', 'Of a message, with package tracing. Points are traces.', quantiles('ws_message_process_duration_seconds'), 's')
      + lib.colours(colours.quantiles),
      lib.timeseries('Messages handled', 'By error; one without is a message that went well.', [
        lib.target(lib.count('ws_message_process_duration_seconds', by='error_type') + '\nor\n' + lib.zero, '{{error_type}}'),
      ], 'suffix:/s') + { fieldConfig+: { overrides+: [{ matcher: { id: 'byRegexp', options: '^(Value|Series.*|)$' }, properties: [{ id: 'displayName', value: 'without error' }, { id: 'color', value: { mode: 'fixed', fixedColor: 'green' } }] }] } },
      lib.timeseries('Spans left out', 'By the policy that decides which messages have one.', [
        lib.target(lib.sum(lib.rate('ws_message_spans_suppressed_total'), 'reason') + '\nor on ()\n' + lib.zeroOf('reason', 'none'), '{{reason}}'),
      ], 'suffix:/s'),
    ], collapsed=true),

    row('Clients, and the server behind a proxy', [
      lib.timeseries('Dialed connections', 'Open connections that the processes have dialed: those of a client, and those of otelws proxy to the server behind it.', [
        lib.target(lib.sum(lib.metric('ws_client_connections_active'), 'job') + '\nor on ()\n' + lib.zeroOf('job', 'none'), '{{job}}'),
      ]) + lib.stacked,
      lib.timeseries('Dials by status', '0 is no response: the server is not there, or a network between.', handshakes('ws_client_'), 'suffix:/s')
      + lib.stacked + lib.colours(colours.statuses),
      lib.timeseries('Time of a dial', 'From the request to the response.', quantiles('ws_client_handshake_duration_seconds'), 's')
      + lib.colours(colours.quantiles) + lib.capped(10, '10 s or more'),
      lib.timeseries('Closed by code', 'Of dialed connections. 1006 by the peer is a server, or a balancer before it, that cuts.', closed('ws_client_'), 'suffix:/s')
      + lib.stacked + lib.colours(colours.codes),
      lib.timeseries('Round trip to the server', 'Ping to pong.', quantiles('ws_client_heartbeat_rtt_seconds'), 's')
      + lib.colours(colours.quantiles) + lib.capped(2.5, '2.5 s or more'),
      lib.timeseries('Clients and dialed, of a proxy', 'They are the same but for handshakes under way. More dialed than clients: connections to the server that have lost their client.', [
        lib.target(lib.orZero(lib.sum(lib.metric('ws_connections_active'))), 'accepted'),
        lib.target(lib.orZero(lib.sum(lib.metric('ws_client_connections_active'))), 'dialed'),
      ]),
    ], collapsed=true),
  ]
