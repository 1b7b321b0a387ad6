// Recording rules. They are of an instance or of a service, which is what job
// stands for in their names: the labels of each are configuration.
{
  local config = $._config,
  local promql = (import 'promql.libsonnet')(config),
  local metric = promql.metric,
  local labels = { I: promql.instance, S: promql.service },
  local series = {
    server: metric('ws_connections_active'),
    client: metric('ws_client_connections_active'),
    up: metric('up'),
  },

  local record(name, expr) = { record: name, expr: std.rstripChars(expr, '\n') },
  // A rate of each instance, and the sum of them.
  local rates(name, expr) = [
    record('instance:%s:rate5m' % name, expr),
    record('job:%s:rate5m' % name, 'sum by (%s) (instance:%s:rate5m)' % [labels.S, name]),
  ],
  local counter(name, metricName, matchers='') =
    rates(name, 'sum by (%s) (rate(%s[5m]))' % [labels.I, metric(metricName, matchers)]),

  // Of accepted connections (ws_) and of dialed ones (ws_client_).
  local side(ws) =
    [
      record('instance:%sconnections_active:sum' % ws, 'sum by (%s) (%s)' % [labels.I, metric(ws + 'connections_active')]),
      record('job:%sconnections_active:sum' % ws, 'sum by (%s) (instance:%sconnections_active:sum)' % [labels.S, ws]),
    ]
    + counter(ws + 'connections_closed', ws + 'connections_closed_total')
    + counter(ws + 'connections_closed_abnormal', ws + 'connections_closed_total', 'code=~"%s"' % config.abnormalCodes)
    + rates(ws + 'handshakes', promql.observations(ws + 'handshake_duration_seconds', labels.I))
    + rates(ws + 'handshakes_failed', promql.observations(ws + 'handshake_duration_seconds', labels.I, matchers='http_response_status_code!="101"')),

  local cut(low=null, high=null) =
    promql.observations('ws_connection_idle_seconds', labels.S, low, high, 'code="1006", initiator="peer"'),

  prometheusRules+:: {
    groups+: [
      {
        name: 'websocket-servers',
        rules: [
          // Targets with WebSocket metrics. The second line remembers one for as long as it
          // is a target, when it is down and shows nothing.
          record('instance:ws_server:seen', |||
            group by (%(I)s) (%(server)s or %(client)s)
            or
            (instance:ws_server:seen and on (%(I)s) %(up)s)
          ||| % (labels + series)),

          // Those that show metrics now, and their share of the targets that answer.
          record('job:ws_server:count', 'count by (%(S)s) (group by (%(I)s) (%(server)s or %(client)s))' % (labels + series)),
          record('job:ws_server:ratio', |||
            count by (%(S)s) (%(up)s == 1 and on (%(I)s) instance:ws_server:seen)
              / count by (%(S)s) (%(up)s == 1)
          ||| % (labels + series)),

          // And targets that have not answered yet, and by their job must be servers too.
          record('instance:ws_server:info', |||
            instance:ws_server:seen
            or
            group by (%(I)s) (%(up)s and on (%(S)s) job:ws_server:ratio > 0.5)
          ||| % (labels + series) + if config.jobNames == '' then '' else |||
            or
            group by (%s) (%s)
          ||| % [labels.I, metric('up', 'job=~"%s"' % config.jobNames)]),
          record('job:ws_server_down:ratio', |||
            count by (%(S)s) (%(up)s == 0 and on (%(I)s) instance:ws_server:info)
              / count by (%(S)s) (%(up)s and on (%(I)s) instance:ws_server:info)
          ||| % (labels + series)),

          // The connections of instances that push: nobody scrapes them.
          record('instance:ws_pushed_connections_active:sum', |||
            sum by (%(I)s) (%(server)s)
              unless on (%(I)s) %(up)s
          ||| % (labels + series)),
          record('job:ws_pushed:count', 'count by (%s) (instance:ws_pushed_connections_active:sum)' % labels.S),
          // Those of instances that fell silent before they had ended their connections,
          // as a drain does, and whose place nobody took. A target is none of them: its
          // up may come later than its metrics, and end earlier.
          record('instance:ws_vanished_connections_active:sum', |||
            last_over_time(instance:ws_pushed_connections_active:sum[%(window)s]) > 0
              unless on (%(I)s) %(server)s
              unless on (%(I)s) last_over_time(%(up)s[%(window)s])
              unless on (%(S)s) job:ws_pushed:count >= quantile_over_time(0.5, job:ws_pushed:count[%(window)s])
          ||| % (labels + series { window: config.thresholds.vanishedFor })),
        ],
      },
      {
        name: 'websocket-rates',
        rules:
          side('ws_')
          + side('ws_client_')
          + [record('instance:ws_client_handshakes_unanswered:rate5m', promql.observations('ws_client_handshake_duration_seconds', labels.I, matchers='http_response_status_code=~"0|5.."'))]
          + counter('ws_connections_opened', 'ws_connections_opened_total')
          + counter('ws_heartbeats_missed', 'ws_heartbeat_missed_total')
          + counter('ws_protocol_errors', 'ws_protocol_errors_total')
          + rates('ws_pongs', promql.observations('ws_heartbeat_rtt_seconds', labels.I))
          // Whoever answers nothing has no pongs, and not 0 of them.
          + rates('ws_heartbeats', |||
            instance:ws_pongs:rate5m + instance:ws_heartbeats_missed:rate5m
            or
            instance:ws_heartbeats_missed:rate5m
            or
            instance:ws_pongs:rate5m
          |||)
          + rates('ws_messages_received', promql.observations('ws_message_bytes', labels.I))
          + rates('ws_messages_oversized', promql.observations('ws_message_bytes', labels.I, low=config.oversizedBytes))
          + [
            record('instance:ws_pongs_slow:rate5m', promql.observations('ws_heartbeat_rtt_seconds', labels.I, low=config.slowHeartbeatSeconds)),
            record('instance:ws_write_time_seconds:rate5m', 'sum by (%s) (rate(%s[5m]))' % [labels.I, metric('ws_write_time_seconds_total')]),
            record('job:ws_connections_ended:rate5m', promql.observations('ws_connection_duration_seconds', labels.S)),
            record('job:ws_connections_short:rate5m', promql.observations('ws_connection_duration_seconds', labels.S, high=config.shortConnectionSeconds)),
          ]
          // Cut by the other side or by a hop, and for how long nothing had passed before.
          + [
            record('job:ws_connections_cut:rate5m', cut()),
          ] + [
            record('job:ws_connections_cut_after_%ss:rate5m' % limit, cut(config.idleLimits[limit][0], config.idleLimits[limit][1]))
            for limit in std.sort(std.objectFields(config.idleLimits), std.parseInt)
          ]
          + [
            record('job_code:ws_connections_closed:rate5m', 'sum by (%s, code) (rate(%s[5m]))' % [labels.S, metric('ws_connections_closed_total')]),
            record('job_direction:ws_io_bytes:rate5m', 'sum by (%s, network_io_direction) (rate(%s[5m]))' % [labels.S, metric('ws_io_bytes_total')]),
            // With WithMessageKinds.
            record('job_direction_kind:ws_messages:rate5m', 'sum by (%s, network_io_direction, kind) (rate(%s[5m]))' % [labels.S, metric('ws_messages_total')]),
            record('job_direction_kind:ws_messages:ratio_rate5m', |||
              (job_direction_kind:ws_messages:rate5m
                / ignoring (kind) group_left sum without (kind) (job_direction_kind:ws_messages:rate5m)) >= 0
            |||),
            record('job_direction_kind:ws_messages_size_bytes:rate5m', 'sum by (%s, network_io_direction, kind) (rate(%s[5m]))' % [labels.S, metric('ws_messages_size_bytes_total')]),
          ],
      },
    ],
  },
}
