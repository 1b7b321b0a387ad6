// A promtool test for each alert: what fires it, under five names and ways, and
// what does not, though it comes close. rules_test.go runs them.
local alerts = (import 'closures.libsonnet') + (import 'others.libsonnet');

// The labels of what fires: a job of any name, a PodMonitor's, an instance that
// pushes, and one of two clusters.
local ways = {
  named: { job: 'ws-server', instance: 'ws-1:9091' },
  pod: { namespace: 'prod', job: 'prod/chat', pod: 'chat-0', instance: '10.0.0.1:9091' },
  pushed: { job: 'shop/chat', instance: '627cc493' },
  cluster: { cluster: 'b', job: 'websocket', instance: '1' },
};
local native = { cluster: 'n', namespace: 'n', job: 'native', pod: 'n', instance: 'n' };

// series are a test's input: {'name{labels}': values}. Labels that a series names
// itself stay.
local input(series, labels, pushed=false) = [
  local parts = std.split(std.strReplace(key, '}', ''), '{');
  local own = if std.length(parts) > 1 then parts[1] else '';
  local given = [std.split(label, '=')[0] for label in std.split(own, ', ')];
  local all = std.join(', ', [
    '%s="%s"' % [name, labels[name]]
    for name in std.objectFields(labels)
    if !std.member(given, name)
  ] + if own == '' then [] else [
    // What is pushed has its bounds as the process writes them.
    if pushed then std.strReplace(own, '.0"', '"') else own,
  ]);
  { series: '%s{%s}' % [parts[0], all], values: series[key] }
  for key in std.objectFields(series)
];

local levels = {
  service: ['cluster', 'namespace', 'job'],
  instance: ['cluster', 'namespace', 'job', 'pod', 'instance'],
};

local firing(name, extra) = 'group by (severity, cluster, namespace, job, pod, instance%s) (ALERTS{alertname="%s", alertstate="firing"})' % [
  std.join('', [', ' + label for label in std.objectFields(extra)]),
  name,
];
local sample(labels) = {
  labels: '{%s}' % std.join(', ', ['%s="%s"' % [name, labels[name]] for name in std.objectFields(labels)]),
  value: 1,
};

{
  [name]: {
    local a = {
      level: 'service',
      severity: 'warning',
      extra: {},
      silentAt: [],
      quiet: {},
      native: null,
      down: false,
      peers: a.level == 'instance',  // whether another pod's series matter to no other
      stranger: {},  // what has the name of a server elsewhere, and is none
      strangerPod: {},
      also: [],  // tests of its own
    } + alerts[name],
    evaluation_interval: '1m',
    tests: [{
      name: name,
      interval: '1m',
      input_series:
        std.flattenArrays([input(a.fires, ways[way], way == 'pushed') for way in std.objectFields(ways)])
        + [{ series: 'up' + sample(ways[way]).labels, values: '1x200' } for way in ['named', 'pod', 'cluster'] if !a.down]
        + std.flattenArrays([input(a.quiet[q], { cluster: 'q', namespace: 'q', job: q, pod: 'q', instance: 'q' }) for q in std.objectFields(a.quiet)])
        // Another attribute set of the same instance, in which nothing happens.
        + input({ [key]: '0x200' for key in std.objectFields(a.fires) }, ways.named { tier: 'free' })
        + input({ [key]: '0x200' for key in std.objectFields(a.quiet.below) }, ways.cluster { cluster: 'a', tier: 'free' })
        // The neighbours of what fires differ in nothing else.
        + input(a.quiet.below, ways.cluster { cluster: 'a' })
        + input(a.quiet.below, ways.pod { namespace: 'staging' })
        + (if a.peers then input(a.quiet.below, ways.pod { pod: 'chat-9' }) else [])
        + input(a.stranger, ways.cluster { cluster: 'c' })
        + input(a.stranger, ways.pod { namespace: 'other' })
        + input(a.strangerPod, ways.pod { pod: 'chat-8' })
        + if a.native == null then [] else input(a.native, native),
      promql_expr_test: [
        {
          expr: firing(name, a.extra),
          eval_time: at,
          exp_samples: [
            sample({ severity: a.severity } + a.extra + { [l]: labels[l] for l in std.objectFields(labels) if std.member(levels[a.level], l) })
            for labels in [ways[way] for way in std.objectFields(ways)] + if a.native == null then [] else [native]
          ],
        }
        for at in a.firingAt
      ] + [
        { expr: firing(name, a.extra), eval_time: at, exp_samples: [] }
        for at in a.silentAt
      ],
    }] + [
      {
        name: name + ': ' + test.name,
        interval: '1m',
        input_series: [{ series: s, values: test.series[s] } for s in std.objectFields(test.series)],
        promql_expr_test: [{
          expr: firing(name, { [l]: '' for l in test.labels }),
          eval_time: '30m',
          exp_samples: [sample({ severity: a.severity } + labels) for labels in test.fires],
        }],
      }
      for test in a.also
    ],
  }
  for name in std.objectFields(alerts)
}
