// Servers that are not there. What is a WebSocket server is told by its metrics,
// see instance:ws_server:info.
function(a)
  local up = a.metric('up');
  // All labels of the target stay.
  // absent has a label only if one matcher alone is about it. label_replace keeps the
  // job, whatever the selector is.
  local missing(job) = 'or\nlabel_replace(\n  absent(%s),\n  "job", %s, "", ""\n)\n' % [
    a.metric('ws_connections_active', 'job=' + std.escapeStringJson(job)),
    std.escapeStringJson(std.strReplace(job, '$', '$$')),
  ];
  local down = '%s == 0 and on (%s) instance:ws_server:info' % [up, a.instance];
  local targetDown(severity, expr) = a.alert(
    'WebSocketTargetDown',
    severity,
    expr % { down: down, S: a.service, many: 'job:ws_server_down:ratio >= ' + a.number(a.t.targetsDown) },
    '{{ $labels.instance }} of {{ $labels.job }} {{ if $value }}pushes no metrics any more, and had {{ $value }} connections{{ else }}does not answer its scrape{{ end }}.',
    |||
      Is the process there? If it is: the page of targets of Prometheus has the error of a scrape (an address, a
      certificate, a password, a timeout, a sample_limit), and the log of a process that pushes has those of its exports.
      If it is not, its last log records say why it ended. Its clients are with the other instances: see whether these
      have descriptors and memory for them.
    |||,
    duration='4m',
  );

  [
    // What vanishes has sent nothing for five minutes already.
    targetDown('critical', |||
      %(down)s and on (%(S)s) %(many)s
      or
      instance:ws_vanished_connections_active:sum
    |||),
    targetDown('warning', '%(down)s unless on (%(S)s) %(many)s'),

    a.alert(
      'WebSocketTargetsMissing',
      'critical',
      |||
        last_over_time(job:ws_server:count[%(window)s])
          unless on (%(S)s) job:ws_server:count
          unless on (%(S)s) job:ws_server_down:ratio > 0
          unless on (%(S)s) instance:ws_vanished_connections_active:sum
      ||| % { window: a.t.missingFor, S: a.service }
      + std.join('', std.map(missing, a.config.requiredJobs)),
      'No instance of {{ $labels.job }} shows WebSocket metrics any more; there were {{ $value }}.',
      |||
        No other alert can fire for this service. If it was taken out of service, silence this for the six hours that
        it lasts. If not: does the scrape configuration or the service discovery still find it, do those that push
        reach the Collector, does the new version still use otelws?
      |||,
      duration='5m',
    ),
    // Some kernels give a process a start that wavers by a second. A step back is no
    // restart, nor is the step forth that comes with it.
    a.alert(
      'WebSocketRestarting',
      'warning',
      |||
        sum by (%(I)s) (changes(%(start)s[30m]) - 2 * resets(%(start)s[30m])) >= %(restarts)d
        and on (%(I)s) instance:ws_server:info
      ||| % { I: a.instance, start: a.metric('process_start_time_seconds'), restarts: a.t.restarts },
      '{{ $labels.instance }} of {{ $labels.job }} has restarted {{ $value }} times in half an hour.',
      |||
        Each restart cuts all of its connections. Look at the end of its log before each start: a panic, a memory limit
        (process_resident_memory_bytes), a liveness probe that fails under load. If it came with a release, roll it
        back.
      |||,
    ),
  ]
