// Servers that are gone. instance:ws_server:info says which targets are WebSocket
// servers.
function(a)
  local up = a.metric('up');
  // absent keeps a label only if a single matcher names it. label_replace keeps the job
  // under any selector.
  local missing(job) = 'or\nlabel_replace(\n  absent(%s),\n  "job", %s, "", ""\n)\n' % [
    a.metric('ws_connections_active', 'job=' + std.escapeStringJson(job)),
    std.escapeStringJson(std.strReplace(job, '$', '$$')),
  ];
  // The alert keeps all labels of the target.
  local down = '%s == 0 and on (%s) instance:ws_server:info' % [up, a.instance];
  // The target failed and came back twice, so it is neither new nor replaced.
  local flapping = |||
    avg_over_time(%(up)s[15m]) < %(answered)s
    and changes(%(up)s[15m]) >= 4
    and on (%(I)s) instance:ws_server:info
  ||| % { up: up, I: a.instance, answered: a.number(a.t.scrapesAnswered) };
  local targetDown(severity, expr) = a.alert(
    'WebSocketTargetDown',
    severity,
    expr % { down: down, flapping: std.rstripChars(flapping, '\n'), S: a.service, many: '>= ' + a.number(a.t.targetsDown) },
    '{{ $labels.instance }} of {{ $labels.job }} '
    + '{{ if ge $value 1.0 }}stopped pushing metrics and had {{ $value }} connections'
    + '{{ else if $value }}answers only {{ $value | humanizePercentage }} of its scrapes'
    + '{{ else }}does not answer its scrape{{ end }}.',
    |||
      Check whether the process runs. If it runs, Prometheus's page of targets shows the error of the scrape,
      such as an address, a certificate, a password, a timeout or sample_limit. A process that pushes logs the
      errors of its exports. If it does not run, its last log records say why it ended. Its clients now use the
      other instances: check that these have enough descriptors and memory.
    |||,
    duration='4m',
  );

  local targetsMissing(severity, last, required=[]) = a.alert(
    'WebSocketTargetsMissing',
    severity,
    |||
      %(last)s
        unless on (%(S)s) (job:ws_connections_active:sum or job:ws_client_connections_active:sum)
        unless on (%(S)s) job:ws_server_down:ratio > 0
        unless on (%(S)s) instance:ws_vanished_connections_active:sum
    ||| % {
      S: a.service,
      last: last % {
        accepted: 'last_over_time(job:ws_connections_active:sum[%s])' % a.t.missingFor,
        dialed: 'last_over_time(job:ws_client_connections_active:sum[%s])' % a.t.missingFor,
      },
    }
    + std.join('', required),
    'No instance of {{ $labels.job }} has WebSocket metrics any more{{ if gt $value 1.0 }}; the service had {{ $value }} connections{{ end }}.',
    |||
      No other alert can fire for this service now. Check whether service discovery still finds its instances,
      whether instances that push reach the Collector, and whether the new version still uses otelws. If you
      removed the service, silence this alert for six hours.
    |||,
    duration='5m',
  );

  [
    // An instance vanishes five minutes after its last push.
    targetDown('critical', |||
      %(down)s and on (%(S)s) job:ws_server_down:ratio %(many)s
      or
      instance:ws_vanished_connections_active:sum and on (%(S)s) job:ws_vanished:ratio %(many)s
    |||),
    targetDown('warning', |||
      %(down)s unless on (%(S)s) job:ws_server_down:ratio %(many)s
      or
      instance:ws_vanished_connections_active:sum unless on (%(S)s) job:ws_vanished:ratio %(many)s
      or
      %(flapping)s
    |||),

    targetsMissing('critical', '(%(accepted)s or %(dialed)s) > 0', std.map(missing, a.config.requiredJobs)),
    // Nobody was connected: perhaps somebody scaled the service to zero. A client that
    // has closed its connections may end.
    targetsMissing('warning', '%(accepted)s == 0'),

    // On some kernels, the start time of a process wavers by a second. A step back is
    // not a restart, and neither is the step forward that goes with it.
    a.alert(
      'WebSocketRestarting',
      'warning',
      |||
        max by (%(I)s) (changes(%(start)s[30m]) - 2 * resets(%(start)s[30m])) >= %(restarts)d
        and on (%(I)s) instance:ws_server:info
      ||| % { I: a.instance, start: a.metric('process_start_time_seconds'), restarts: a.t.restarts },
      '{{ $labels.instance }} of {{ $labels.job }} has restarted {{ $value }} times in half an hour.',
      |||
        Each restart cuts all connections of the instance. Read the end of its log before each start: look for a
        panic, a memory limit (process_resident_memory_bytes), or a liveness probe that fails under load. If the
        restarts began with a release, roll it back.
      |||,
    ),
  ]
