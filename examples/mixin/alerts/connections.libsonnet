// How connections end, and how many there are.
function(a)
  local fall = {
    S: a.service,
    now: 'job:ws_connections_active:sum',
    before: 'quantile_over_time(0.5, job:ws_connections_active:sum[10m])',
    low: 'min_over_time(job:ws_connections_active:sum[2m])',
    usual: 'quantile_over_time(0.5, job:ws_connections_active:sum[30m])',
    left: a.number(1 - a.t.connectionsLost),
    lost: a.number(a.t.connectionsLost),
    atLeast: a.t.connectionsLostAtLeast,
  };
  local burn = {
    bad: 'job:ws_connections_closed_abnormal:rate5m',
    all: 'job:ws_connections_closed:rate5m',
    floor: a.number(a.t.floor),
    fast: a.number(a.t.fastBurn * (1 - a.t.objective)),
    slow: a.number(a.t.slowBurn * (1 - a.t.objective)),
  };
  // An instance whose share is far above what its peers have together.
  local apart(signal, bad, all) = |||
    label_replace(
      %(share)s > %(least)s
      and instance:%(bad)s:rate5m > %(floor)s
      and %(share)s
        > %(factor)s * (job:%(bad)s:rate5m - on (%(S)s) group_right () instance:%(bad)s:rate5m)
            / (job:%(all)s:rate5m - on (%(S)s) group_right () instance:%(all)s:rate5m),
      "signal", "%(signal)s", "", ""
    )
  ||| % {
    S: a.service,
    share: a.share('instance', bad, all),
    bad: bad,
    all: all,
    signal: signal,
    least: a.number(a.t.apart),
    factor: a.number(a.t.apartFactor),
    floor: a.number(a.t.floor),
  };

  [
    // Half within minutes, of what there was and of what there usually is: not those
    // who leave one after the other when a match is over. Medians, so that a new
    // deployment that is counted beside the old one for a while is no fall. And none
    // while clients come back.
    a.alert(
      'WebSocketMassDisconnect',
      'critical',
      |||
        %(before)s - %(now)s > %(atLeast)d
        and %(now)s < %(left)s * %(before)s
        and %(before)s - %(now)s > %(lost)s * %(usual)s
        unless %(now)s - %(low)s > 0.05 * %(before)s
      ||| % fall,
      '{{ $labels.job }} has lost {{ $value | humanize }} connections within minutes, and they do not come back.',
      |||
        More than half of its connections are gone. The codes of ws_connections_closed_total say who ended them: 1001 a
        balancer, a proxy or a deploy, 1006 a network or a process that died, 1012 a restart. Can new clients connect:
        is ws_handshake_duration_seconds_count with status 101 growing? If not, look at DNS, the balancer and its
        certificate, from outside.
      |||,
      duration='1m',
      keep='10m',
    ),

    // One instance of twenty that ends all of its connections so is 5 % of the service.
    a.alert(
      'WebSocketAbnormalClosures',
      'warning',
      |||
        %s
        or
        max by (%s) (
          %s
        )
      ||| % [
        std.rstripChars(a.shareAbove('job', 'ws_connections_closed_abnormal', 'ws_connections_closed', a.t.abnormal), '\n'),
        a.service,
        std.rstripChars(std.strReplace(a.shareAbove('instance', 'ws_connections_closed_abnormal', 'ws_connections_closed', a.t.abnormalOfInstance), '\n', '\n  '), ' \n'),
      ],
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }}, or of one of its instances, end abnormally.',
      |||
        They end without a close frame (1006) or because the server failed (1011). %s Compare the initiators in
        ws_connection_duration_seconds_count{code="1006"}: peer is clients or a proxy that cut off, timeout a network
        that lost them, local a server that hangs up. If lifetimes gather at 60 s or another round figure, a proxy cuts
        connections that are idle: ping more often.
      ||| % a.worst('ws_connections_closed_abnormal', 'ws_connections_closed'),
      duration='5m',
    ),

    // For longer than the burst of a network that fails once.
    a.alert(
      'WebSocketErrorBudgetFastBurn',
      'critical',
      |||
        %(bad)s / %(all)s > %(fast)s
        and sum_over_time(%(bad)s[1h]) / sum_over_time(%(all)s[1h]) > %(fast)s
        and %(bad)s > %(floor)s
      ||| % burn,
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }} end abnormally: the error budget of a month is gone in two days.',
      |||
        This is %s times what the objective allows, over an hour and now. What changed within the last hour: a release,
        a balancer, a certificate, a network? Roll it back first. See the runbook of WebSocketAbnormalClosures for
        where to look.
      ||| % a.number(a.t.fastBurn),
      duration='10m',
    ),

    // What comes in waves, each too short for WebSocketAbnormalClosures.
    a.alert(
      'WebSocketErrorBudgetSlowBurn',
      'warning',
      |||
        sum_over_time(%(bad)s[1d]) / sum_over_time(%(all)s[1d]) > %(slow)s
        and sum_over_time(%(bad)s[2h]) / sum_over_time(%(all)s[2h]) > %(slow)s
        and avg_over_time(%(bad)s[2h]) > %(floor)s
      ||| % burn,
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }} ended abnormally over a day: the error budget of a month is gone in a week.',
      |||
        Nobody need get up for it. Look at closes by code over a day for waves: a job that restarts something, a network
        at its busy hours, a client version that spreads.
      |||,
      duration='1h',
    ),

    a.alert(
      'WebSocketInstanceApart',
      'warning',
      std.join('or\n', [
        apart('abnormal closures', 'ws_connections_closed_abnormal', 'ws_connections_closed'),
        apart('failed handshakes', 'ws_handshakes_failed', 'ws_handshakes'),
        apart('missed heartbeats', 'ws_heartbeats_missed', 'ws_heartbeats'),
      ]),
      '{{ $labels.instance }} of {{ $labels.job }} has {{ $value | humanizePercentage }} {{ $labels.signal }}, its peers far fewer.',
      |||
        What its peers do well under the same traffic, this instance does not: its host, its network, its version or its
        configuration. Compare CPU, scheduler latency and descriptors on the dashboard, then drain and replace it.
      |||,
      duration='15m',
    ),

    // A service of short connections by design lives longer than the mean lifetime, or
    // sets it in _config.
    a.alert(
      'WebSocketChurn',
      'warning',
      |||
        job:ws_connections_opened:rate5m > %(churn)s
        and (
          job:ws_connections_opened:rate5m * %(life)s > avg_over_time(job:ws_connections_active:sum[5m])
          or
          job:ws_connections_short:rate5m / job:ws_connections_ended:rate5m > %(short)s
        )
      ||| % {
        churn: a.number(a.t.churn),
        life: a.number(a.t.meanLifetimeSeconds),
        short: a.number(a.t.shortConnections),
      },
      'Clients of {{ $labels.job }} reconnect in a loop: {{ $value | humanize }} connections a second are opened, and do not last.',
      |||
        They live less than five seconds on average, or half of them end within a second. The codes of
        ws_connections_closed_total say why they end: 1008 and 4xxx a server that refuses them, for one an expired
        token; 1002 and 1009 a client that sends what it must not; 1011 a server that fails. If the code is 1000, 1001
        or 1005, a client version closes and opens at once: see User-Agent in the access log. Have clients back off
        with jitter.
      |||,
      duration='10m',
    ),

    a.alert(
      'WebSocketDescriptorsNearLimit',
      'critical',
      |||
        %(open)s / %(max)s > %(limit)s
        and on (%(I)s) instance:ws_connections_active:sum
      ||| % {
        open: a.metric('process_open_fds'),
        max: a.metric('process_max_fds'),
        limit: a.number(a.t.descriptors),
        I: a.instance,
      },
      '{{ $labels.instance }} of {{ $labels.job }} uses {{ $value | humanizePercentage }} of its file descriptors.',
      |||
        It refuses connections when there are no more. Raise its limit (LimitNOFILE, ulimit -n) or add instances. If
        ws_connections_active is far below process_open_fds, something else leaks them; if it is as high and there are
        not so many clients, handlers do not end: a goroutine profile shows where they wait.
      |||,
      duration='2m',
    ),
  ]
