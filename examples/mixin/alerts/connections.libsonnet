// How connections end, and how many there are.
function(a)
  local fall = {
    S: a.service,
    now: 'job:ws_connections_active:sum',
    before: 'quantile_over_time(0.5, job:ws_connections_active:sum[10m])',
    low: 'min_over_time(job:ws_connections_active:sum[2m])',
    usual: 'quantile_over_time(0.5, job:ws_connections_active:sum[30m])',
    hours: 'quantile_over_time(0.5, job:ws_connections_active:sum[6h])',
    unseen: 'sum by (%s) (last_over_time(instance:ws_connections_active:sum[10m]) and on (%s) %s == 0)' % [a.service, a.instance, a.metric('up')],
    left: a.number(1 - a.t.connectionsLost),
    lost: a.number(a.t.connectionsLost),
    atLeast: a.t.connectionsLostAtLeast,
  };
  local burn = {
    bad: 'job:ws_connections_closed_abnormal:rate5m',
    all: 'job:ws_connections_closed:rate5m',
    floor: a.number(a.t.floor),
    fast: a.number(a.t.fastBurn * (1 - a.t.objective)),
    fastFloor: a.number(a.t.fastBurnFloor),
    slow: a.number(a.t.slowBurn * (1 - a.t.objective)),
  };
  // An instance whose share is far above the share of all its peers.
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
    // A service must lose half of its connections within minutes. The conditions, line
    // by line:
    // - At least so many are lost. Medians, because a deployment may count its
    //   connections twice for a while.
    // - Half of the connections of the last minutes are lost.
    // - The fall is quick: clients who leave one by one after a match are no loss.
    // - The service has fewer than it usually has: a crowd that leaves is no loss.
    // - A target that does not answer its scrape may still have its connections. If
    //   it stays so, WebSocketTargetDown fires.
    // - Clients do not come back.
    a.alert(
      'WebSocketMassDisconnect',
      'critical',
      |||
        %(before)s - %(now)s > %(atLeast)d
        and %(now)s < %(left)s * %(before)s
        and %(before)s - %(now)s > %(lost)s * %(usual)s
        and (%(now)s < %(left)s * %(usual)s or %(now)s < %(left)s * %(hours)s)
        unless %(now)s + %(unseen)s >= %(left)s * %(before)s
        unless %(now)s - %(low)s > 0.05 * %(before)s
      ||| % fall,
      '{{ $labels.job }} has lost {{ $value | humanize }} connections within minutes, and they do not come back.',
      |||
        More than half of the connections are gone. The codes of ws_connections_closed_total say who ended them:
        1001 is a balancer, a proxy or a deploy, 1006 a network or a process that died, 1012 a restart. If no
        closes were counted, compare the number of instances with an hour ago. Check whether new clients can
        connect: ws_handshake_duration_seconds_count with status 101 grows. If it does not, check DNS, the
        balancer and its certificate from outside.
      |||,
      duration='1m',
      keep='10m',
    ),

    // The balancer, its certificate or a name fails, and the connections that are open
    // last for a while. If nearly all of them are gone, the clients have gone home, or
    // WebSocketMassDisconnect fires.
    a.alert(
      'WebSocketNoNewConnections',
      'critical',
      |||
        quantile_over_time(0.5, job:ws_connections_opened:rate5m[1h]) > %(usual)s
        and job:ws_connections_opened:rate5m == 0
        and job:ws_connections_active:sum > %(left)s * quantile_over_time(0.5, job:ws_connections_active:sum[1h])
      ||| % { usual: a.number(a.t.usuallyOpened), left: a.number(a.t.connectionsLeft) },
      'Nobody has connected to {{ $labels.job }} for ten minutes; {{ $value | humanize }} connections a second are usual.',
      |||
        The connections that are open last until they end, and then the service is empty. If
        ws_handshake_duration_seconds_count grows, the server refuses all clients: its status says why. If it does
        not grow, no client reaches the server: check DNS, the balancer, its health checks and its certificate
        from outside.
      |||,
      duration='5m',
    ),

    // Phones lose their network all day, so a share counts if it is large, or larger than
    // usual. If one instance of twenty ends all of its connections like this, the share of
    // the service is 5 %.
    a.alert(
      'WebSocketAbnormalClosures',
      'warning',
      |||
        (
          %(share)s > %(large)s
          or
          %(share)s > %(small)s
          and %(share)s > 1.5 * (sum_over_time(%(bad)s[1d] offset 10m) / sum_over_time(%(all)s[1d] offset 10m))
        )
        and %(bad)s > %(floor)s
        or
        max by (%(S)s) (
          %(ofInstance)s
        )
      ||| % burn {
        S: a.service,
        share: '%s / %s' % [burn.bad, burn.all],
        large: a.number(a.t.abnormal),
        small: a.number(a.t.abnormalUnusual),
        ofInstance: std.rstripChars(std.strReplace(a.shareAbove('instance', 'ws_connections_closed_abnormal', 'ws_connections_closed', a.t.abnormalOfInstance), '\n', '\n  '), ' \n'),
      },
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }}, or of one of its instances, end abnormally.',
      |||
        These connections end without a close frame (1006), or because the server failed (1011). %s Compare the
        initiators in ws_connection_duration_seconds_count{code="1006"}: peer means that clients or a proxy cut
        the connection, timeout that a network lost it, local that this server hung up. If many connections live
        for 60 s or another round time, a proxy cuts idle connections: send pings more often.
      ||| % a.worst('ws_connections_closed_abnormal', 'ws_connections_closed'),
      duration=a.burst,
    ),

    // Ten minutes are longer than the burst of a network that fails once.
    a.alert(
      'WebSocketErrorBudgetFastBurn',
      'critical',
      |||
        %(bad)s / %(all)s > %(fast)s
        and sum_over_time(%(bad)s[1h]) / sum_over_time(%(all)s[1h]) > %(fast)s
        and %(bad)s > %(fastFloor)s
      ||| % burn,
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }} end abnormally: the error budget of a month lasts two days.',
      |||
        This is %s times as many as the objective allows, over an hour and now. Find what changed within the
        last hour: a release, a balancer, a certificate or a network. Roll the change back first. The runbook of
        WebSocketAbnormalClosures says where to look.
      ||| % a.number(a.t.fastBurn),
      duration='10m',
    ),

    // Waves, each too short for WebSocketAbnormalClosures.
    a.alert(
      'WebSocketErrorBudgetSlowBurn',
      'warning',
      |||
        sum_over_time(%(bad)s[1d]) / sum_over_time(%(all)s[1d]) > %(slow)s
        and sum_over_time(%(bad)s[2h]) / sum_over_time(%(all)s[2h]) > %(slow)s
        and avg_over_time(%(bad)s[2h]) > %(floor)s
      ||| % burn,
      '{{ $value | humanizePercentage }} of the connections of {{ $labels.job }} ended abnormally over a day: the error budget of a month lasts four days.',
      |||
        This can wait until working hours. Look at the closes by code over a day, and look for waves: a job that
        restarts something, a network at its busy hours, or a client version that spreads.
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
      '{{ $labels.instance }} of {{ $labels.job }} has {{ $value | humanizePercentage }} {{ $labels.signal }}, and its peers have far fewer.',
      |||
        The peers of this instance do well under the same traffic. The cause is its host, its network, its
        version or its configuration. Compare CPU, scheduler latency and descriptors on the dashboard. Then
        drain and replace the instance.
      |||,
      duration='15m',
    ),

    // A service with even shorter connections by design sets meanLifetimeSeconds.
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
      'Clients of {{ $labels.job }} reconnect in a loop: {{ $value | humanize }} connections open each second and do not last.',
      |||
        Connections last less than five seconds on average, or half of them end within a second. The codes of
        ws_connections_closed_total say why. 1008 and 4xxx: the server rejects clients, for example because of
        an expired token. 1002 and 1009: a client sends invalid or too large messages. 1011: the server fails.
        1000, 1001 and 1005: a client version closes and reconnects at once; the access log has its User-Agent.
        Let clients back off with jitter.
      |||,
      duration='10m',
    ),

    a.alert(
      'WebSocketDescriptorsNearLimit',
      'critical',
      |||
        %(open)s / %(max)s > %(limit)s
        and on (%(I)s) instance:ws_server:seen
      ||| % {
        open: a.metric('process_open_fds'),
        max: a.metric('process_max_fds'),
        limit: a.number(a.t.descriptors),
        I: a.instance,
      },
      '{{ $labels.instance }} of {{ $labels.job }} uses {{ $value | humanizePercentage }} of its file descriptors.',
      |||
        At the limit, the instance cannot accept or dial connections. Raise the limit (LimitNOFILE, ulimit -n) or add
        instances. If ws_connections_active is far below process_open_fds, other files or sockets leak. If both
        are high and there are fewer clients, handlers do not end: a goroutine profile shows where they wait.
      |||,
      duration='2m',
    ),
  ]
