// Services of many instances. An empty list is what a person on call wants.
local instances(n, series) = std.flattenArrays([series(i) for i in std.range(0, n - 1)]);
local series(name, i, values) = { series: '%s{job="chat", instance="%d"}' % [name, i], values: values };
local active(i, values) = [series('ws_connections_active', i, values)];
local scraped(i, up, values) = [
  series('up', i, up),
  series('ws_connections_active', i, values),
];

local firing(at, alerts) = {
  expr: 'count by (alertname, severity) (ALERTS{alertstate="firing", severity!="info"})',
  eval_time: at,
  exp_samples: [
    { labels: '{alertname="WebSocket%s", severity="%s"}' % [a.name, a.severity], value: a.count }
    for a in alerts
  ],
};
local down(severity, count=1) = { name: 'TargetDown', severity: severity, count: count };
local test(name, series, alerts) = {
  name: name,
  interval: '1m',
  input_series: series,
  promql_expr_test: [firing(at, alerts[at]) for at in std.objectFields(alerts)],
};

{
  evaluation_interval: '1m',
  tests: [
    test('3 instances that push become 30, one of which is killed forty minutes later',
         instances(30, function(i) active(i, if i < 3 then '100x160' else if i == 17 then '_x40 100x40 _x80' else '_x40 100x120')),
         { '60m': [], '86m': [], '92m': [down('warning')] }),

    test('30 instances that push get new names by a deploy, and one of them is killed forty minutes later',
         instances(30, function(i) active(i, '100x%d _x160' % (40 + i / 10)))
         + instances(30, function(i) active(i + 100, if i == 17 then '_x42 100x40 _x80' else '_x%d 100x120' % (41 + i / 10))),
         { '46m': [], '60m': [], '86m': [], '95m': [down('warning')], '120m': [down('warning')] }),

    test('50 instances that push are replaced one a minute, with their connections open, and one is killed later',
         instances(50, function(i) active(i, '100x%d _x160' % (60 + i)))
         + instances(50, function(i) active(i + 100, if i == 17 then '_x77 10 50 100x80 _x80' else '_x%d 10 50 100x140' % (60 + i))),
         { '80m': [], '110m': [], '115m': [], '120m': [], '125m': [], '155m': [], '172m': [down('warning')] }),

    test('one that pushes is killed: of 25, of 20, and of two in another cluster and namespace',
         local killed(n, labels) = [
           s { series: std.strReplace(s.series, 'job="chat"', labels) }
           for s in instances(n, function(i) active(i, if i == 1 then '100x40 _x40' else '100x80'))
         ];
         killed(25, 'cluster="a", namespace="a", job="chat"')
         + killed(2, 'cluster="b", namespace="a", job="chat"')
         + killed(2, 'cluster="a", namespace="b", job="chat"')
         + killed(20, 'cluster="a", namespace="a", job="room"'),
         { '48m': [], '53m': [down('critical', 3), down('warning')], '75m': [down('critical', 3), down('warning')] }),

    test('12 instances that push become 3, each drained, and one of those is killed an hour later',
         instances(12, function(i) active(i, if i == 2 then '100x40 400x60 _x140' else if i < 3 then '100x40 400x200' else '100x40 0 _x200')),
         { '60m': [], '95m': [], '115m': [down('critical')] }),

    test('six of ten are taken at once, and clients come back to the rest and to new ones',
         instances(6, function(i) scraped(i + 4, '1x40 0x2 stale _x60', '1000x40 stale _x62'))
         + instances(4, function(i) scraped(i, '1x120', '1000x40 1300 1700 2100 2500 1000x75'))
         + instances(6, function(i) scraped(i + 10, '_x43 0 1x76', '_x44 0 1000x75')),
         { '42m': [], '44m': [], '47m': [], '60m': [] }),

    test('one of fifteen is down, of thirty for three minutes, and answers a third of its scrapes for ten',
         instances(15, function(i) scraped(i, if i == 3 then '1x20 0x60' else '1x80', if i == 3 then '50x20 stale' else '50x80'))
         + [
           s { series: std.strReplace(s.series, 'chat', 'room') }
           for s in instances(30, function(i) scraped(
             i,
             if i == 3 then '1x20 0x2 1x60' else if i == 4 then '1x20 0 0 1 0 0 1 0 0 1 0 0 1x60' else '1x90',
             '50x90'
           ))
         ],
         { '24m': [], '26m': [down('critical')], '31m': [down('critical')], '60m': [down('critical')] }),

    // Twenty at a time.
    test('a deploy takes each of a thousand for two minutes, and a rack of thirty fails for an hour',
         instances(1000, function(i)
           local at = 2 + std.floor(i / 20);
           if i < 970 then scraped(i, '1x%d 0x1 1x%d' % [at, 118 - at], '50x%d stale _x1 10 50x%d' % [at, 117 - at])
           else scraped(i, '1x%d 0x1 1x8 0x60' % at, '50x%d stale _x1 10 50x7 stale _x60' % at)),
         { '30m': [], '60m': [], '70m': [down('warning', 30)] }),
  ],
}
