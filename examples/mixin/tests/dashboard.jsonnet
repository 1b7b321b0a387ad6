// Queries of the dashboard, of a fleet that has classic and native histograms.
local lib = (import '../dashboards/lib.libsonnet')((import '../config.libsonnet')._config);
local native(more) = '{{schema:-53 count:%d sum:0 custom_values:[58 63] buckets:[%s]}}' % [std.sum(more), std.join(' ', ['%d' % n for n in more])];

local query(expr) = std.foldl(
  function(q, variable) std.strReplace(q, '$' + variable, '.*'),
  ['cluster', 'namespace', 'job', 'instance', 'route'],
  std.strReplace(expr, '$__rate_interval', '5m')
);
local idle = 'ws_connection_idle_seconds';

{
  evaluation_interval: '1m',
  tests: [{
    name: 'one of two instances has native histograms',
    interval: '1m',
    input_series: [
      { series: idle + '_count{job="chat", instance="classic"}', values: '0+60x20' },
      { series: idle + '_bucket{job="chat", instance="classic", le="58.0"}', values: '0+6x20' },
      { series: idle + '_bucket{job="chat", instance="classic", le="63.0"}', values: '0+36x20' },
      { series: idle + '{job="chat", instance="native"}', values: '%s+%sx20' % [native([0, 0, 0]), native([60, 120, 180])] },
    ],
    promql_expr_test: [
      { expr: query(lib.count(idle)), eval_time: '10m', exp_samples: [{ labels: '{}', value: 7 }] },
      { expr: query(lib.count(idle, by='job')), eval_time: '10m', exp_samples: [{ labels: '{job="chat"}', value: 7 }] },
      { expr: query(lib.between(idle, 58, 63)), eval_time: '10m', exp_samples: [{ labels: '{}', value: 2.5 }] },
    ],
  }],
}
