// What the recording rules record: each rate of each instance, and the sum of each
// service, from classic and from native histograms.
local config = (import '../config.libsonnet')._config;
local values = import 'values.libsonnet';

// Instances that differ from the first one in one label each, and their weights.
local first = { cluster: 'c', namespace: 'n', job: 'j', pod: 'p', instance: 'i' };
local instances = [
  { labels: first, weight: 1 },
  { labels: first { cluster: 'c2' }, weight: 2 },
  { labels: first { namespace: 'n2' }, weight: 4 },
  { labels: first { job: 'j2' }, weight: 8 },
  { labels: first { pod: 'p2' }, weight: 16 },
  { labels: first { instance: 'i2' }, weight: 32 },
];
// Each instance has two attribute sets, with a third and two thirds of its weight.
local tiers = { free: 1, pro: 2 };

local selector(labels) = '{%s}' % std.join(', ', ['%s="%s"' % [l, labels[l]] for l in std.objectFields(labels)]);
// What a weight of one is a second. It is small, so that some rates are below one.
local unit = 1 / 16;

// A counter that grows by so many a second for each part of the weight, with labels
// of its own.
local counter(name, rate, own={}) = [
  { series: name + selector(i.labels { tier: tier } + own), values: '0+%gx20' % (60 * unit * rate * i.weight * tiers[tier]) }
  for i in instances
  for tier in std.objectFields(tiers)
];
local gauge(name) = [
  { series: name + selector(i.labels { tier: tier }), values: '%gx20' % (unit * i.weight * tiers[tier]) }
  for i in instances
  for tier in std.objectFields(tiers)
];

// A histogram in each of its forms, with labels of its own: so many observations up to
// the first of two bounds, between them, and above. With one bound, the last two are
// above.
local histogram(form, name, bounds, own={}, shape=[1, 2, 3]) =
  if form == 'classic' then
    counter(name + '_count', std.sum(shape), own)
    + std.flattenArrays([
      counter(name + '_bucket', std.sum(shape[:b + 1]), own { le: std.toString(bounds[b]) })
      for b in std.range(0, std.length(bounds) - 1)
    ])
  else [
    local histogram(n) = '{{schema:-53 count:%g sum:0 custom_values:[%s] buckets:[%s]}}' % [
      std.sum(shape) * n,
      std.join(' ', [std.toString(b) for b in bounds]),
      std.join(' ', ['%g' % (n * b) for b in (if std.length(bounds) == 1 then [shape[0], shape[1] + shape[2]] else shape)]),
    ];
    { series: name + selector(i.labels { tier: tier } + own), values: '%s+%sx20' % [histogram(0), histogram(60 * unit * i.weight * tiers[tier])] }
    for i in instances
    for tier in std.objectFields(tiers)
  ];

local closes = { '1000': 1, '1006': 2, '1011': 4 };
local side(form, ws) =
  gauge(ws + 'connections_active')
  + std.flattenArrays([counter(ws + 'connections_closed_total', closes[code], { code: code }) for code in std.objectFields(closes)])
  + histogram(form, ws + 'handshake_duration_seconds', [1], { http_response_status_code: '101' })
  + histogram(form, ws + 'handshake_duration_seconds', [1], { http_response_status_code: '403' })
  + histogram(form, ws + 'handshake_duration_seconds', [1], { http_response_status_code: '502' });
local series(form) =
  side(form, 'ws_')
  + side(form, 'ws_client_')
  + counter('ws_connections_opened_total', 1)
  + counter('ws_heartbeat_missed_total', 1)
  + counter('ws_protocol_errors_total', 1, { error_type: 'masking' })
  + counter('ws_write_time_seconds_total', 1)
  + histogram(form, 'ws_heartbeat_rtt_seconds', [config.slowHeartbeatSeconds])
  + histogram(form, 'ws_message_bytes', [config.oversizedBytes])
  + histogram(form, 'ws_connection_duration_seconds', [config.shortConnectionSeconds])
  + counter('ws_io_bytes_total', 1, { network_io_direction: 'receive' })
  + counter('ws_messages_total', 1, { network_io_direction: 'receive', kind: 'chat' })
  + counter('ws_messages_size_bytes_total', 10, { network_io_direction: 'receive', kind: 'chat' });

// The rates, for a weight of one.
local both = {
  ws_connections_closed: 7,
  ws_connections_closed_abnormal: 6,
  ws_handshakes: 18,
  ws_handshakes_failed: 12,
  ws_client_connections_closed: 7,
  ws_client_connections_closed_abnormal: 6,
  ws_client_handshakes: 18,
  ws_client_handshakes_failed: 12,
  ws_connections_opened: 1,
  ws_heartbeats_missed: 1,
  ws_protocol_errors: 1,
  ws_pongs: 6,
  ws_heartbeats: 7,
  ws_messages_received: 6,
  ws_messages_oversized: 5,
};
local instance = both {
  ws_pongs_slow: 5,
  ws_write_time_seconds: 1,
};
local service = both {
  ws_connections_ended: 6,
  ws_connections_short: 1,
};

local expect(name, rate, labels, own={}) = {
  local of(i) = { [l]: i.labels[l] for l in labels },
  local sums = std.foldl(
    function(sums, i) sums { [selector(of(i))]: { labels: of(i), weight: (if std.objectHas(sums, selector(of(i))) then sums[selector(of(i))].weight else 0) + i.weight } },
    instances,
    {}
  ),
  expr: name,
  eval_time: '8m',
  exp_samples: [
    { labels: name + selector(sums[s].labels + own), value: rate * unit * 3 * sums[s].weight }
    for s in std.objectFields(sums)
  ],
};
local sums(form) =
  [expect('instance:%s:rate5m' % r, instance[r], config.instanceLabels) for r in std.objectFields(instance)]
  + [expect('job:%s:rate5m' % r, service[r], config.serviceLabels) for r in std.objectFields(service)]
  + [
    expect(level + ':%sconnections_active:sum' % ws, 1, if level == 'job' then config.serviceLabels else config.instanceLabels)
    for level in ['job', 'instance']
    for ws in ['ws_', 'ws_client_']
  ]
  + [
    expect('job_code:ws_connections_closed:rate5m', rate, config.serviceLabels, { code: code }) {
      expr: 'job_code:ws_connections_closed:rate5m{code="%s"}' % code,
    }
    for code in std.objectFields(closes)
    for rate in [closes[code]]
  ] + [
    expect('instance:ws_client_handshakes_unanswered:rate15m', 6, config.instanceLabels) { eval_time: '18m' },
    expect('job_direction:ws_io_bytes:rate5m', 1, config.serviceLabels, { network_io_direction: 'receive' }),
    expect('job_direction_kind:ws_messages:rate5m', 1, config.serviceLabels, { network_io_direction: 'receive', kind: 'chat' }),
    expect('job_direction_kind:ws_messages_size_bytes:rate5m', 10, config.serviceLabels, { network_io_direction: 'receive', kind: 'chat' }),
  ];
local idle = 'ws_connection_idle_seconds';
local cut(form, limit) = {
  name: '%s histograms of what is cut after %s s' % [form, limit],
  interval: '1m',
  input_series:
    histogram(form, idle, config.idleLimits[limit], { code: '1006', initiator: 'peer' })
    + histogram(form, idle, config.idleLimits[limit], { code: '1006', initiator: 'local' }, [5, 0, 2])
    + histogram(form, idle, config.idleLimits[limit], { code: '1001', initiator: 'peer' }, [5, 0, 2]),
  promql_expr_test: [
    expect('job:ws_connections_cut:rate5m', 6, config.serviceLabels),
    expect('job:ws_connections_cut_after_%ss:rate5m' % limit, 2, config.serviceLabels),
  ],
};

{
  evaluation_interval: '1m',
  fuzzy_compare: true,
  tests: [
    { name: form + ' histograms', interval: '1m', input_series: series(form), promql_expr_test: sums(form) }
    for form in ['classic', 'native']
  ] + [
    cut(form, limit)
    for form in ['classic', 'native']
    for limit in std.objectFields(config.idleLimits)
  ],
}
