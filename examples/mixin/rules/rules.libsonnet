// Recording rules. In their names, instance stands for the labels of an instance, and
// job for the labels of a service. Both are configuration.
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
  // A rate of each instance, and its sum for each service.
  local rates(name, expr) = [
    record('instance:%s:rate5m' % name, expr),
    record('job:%s:rate5m' % name, 'sum by (%s) (instance:%s:rate5m)' % [labels.S, name]),
  ],
  local counter(name, metricName, matchers='') =
    rates(name, 'sum by (%s) (rate(%s[5m]))' % [labels.I, metric(metricName, matchers)]),

  // The rules of accepted connections (ws_) and of dialed connections (ws_client_).
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
          // Targets with WebSocket metrics. The last line remembers a target that is down
          // and has no metrics.
          record('instance:ws_server:seen', |||
            group by (%(I)s) (%(server)s or %(client)s)
            or
            (instance:ws_server:seen and on (%(I)s) %(up)s)
          ||| % (labels + series)),

          // The share of these servers among the targets that answer.
          record('job:ws_server:ratio', |||
            count by (%(S)s) (%(up)s == 1 and on (%(I)s) instance:ws_server:seen)
              / count by (%(S)s) (%(up)s == 1)
          ||| % (labels + series)),

          // These servers, and targets that have not answered yet in a job of servers.
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

          // Connections of instances that push: they have no up.
          record('instance:ws_pushed_connections_active:sum', |||
            sum by (%(I)s) (%(server)s or %(client)s)
              unless on (%(I)s) %(up)s
          ||| % (labels + series)),
          record('job:ws_pushed:count', 'count by (%s) (instance:ws_pushed_connections_active:sum)' % labels.S),
          // An instance counts for five minutes after its last push. During a deploy, the
          // old ones count beside the new ones, but in settled each place counts once. A
          // new service has no settled instance.
          record('job:ws_pushed_settled:count', |||
            count by (%(S)s) (
              instance:ws_pushed_connections_active:sum
                and on (%(I)s) instance:ws_pushed_connections_active:sum offset 5m
            )
            or
            job:ws_pushed:count
          ||| % labels),
          // Connections of instances that stopped pushing before they had ended their
          // connections, as a drain does. The second line remembers an instance. If a
          // service has as many instances as before, another instance took the place.
          // A target is none of them: its up may come later than its metrics, and end
          // earlier.
          record('instance:ws_vanished_connections_active:sum', |||
            (
              last_over_time(instance:ws_pushed_connections_active:sum[10m]) > 0
              or
              (instance:ws_vanished_connections_active:sum and last_over_time(instance:ws_pushed_connections_active:sum[%(window)s]))
            )
              unless on (%(I)s) (%(server)s or %(client)s)
              unless on (%(I)s) last_over_time(%(up)s[%(window)s])
              unless on (%(S)s) (
                job:ws_pushed:count >= quantile_over_time(0.5, job:ws_pushed_settled:count[%(window)s])
                and job:ws_pushed:count >= quantile_over_time(0.5, job:ws_pushed_settled:count[30m])
              )
          ||| % (labels + series { window: config.thresholds.vanishedFor })),
          record('job:ws_vanished:ratio', |||
            count by (%(S)s) (instance:ws_vanished_connections_active:sum)
              / count by (%(S)s) (instance:ws_vanished_connections_active:sum or instance:ws_pushed_connections_active:sum)
          ||| % labels),
        ],
      },
      {
        name: 'websocket-rates',
        rules:
          side('ws_')
          + side('ws_client_')
          + [record('instance:ws_client_handshakes_unanswered:rate15m', promql.observations('ws_client_handshake_duration_seconds', labels.I, matchers='http_response_status_code=~"0|5.."', window='15m'))]
          + counter('ws_connections_opened', 'ws_connections_opened_total')
          + counter('ws_heartbeats_missed', 'ws_heartbeat_missed_total')
          + counter('ws_protocol_errors', 'ws_protocol_errors_total')
          + rates('ws_pongs', promql.observations('ws_heartbeat_rtt_seconds', labels.I))
          // An instance has no series of pongs until a client answers.
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
          // Connections that the peer or a hop cut, by the silence before.
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
