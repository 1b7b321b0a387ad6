// Queries and panels of the dashboard.
function(config) {
  local lib = self,
  local promql = (import '../rules/promql.libsonnet')(config),

  local variables = ['cluster', 'namespace', 'job', 'instance'],
  local selected = ['%s=~"$%s"' % [v, v] for v in variables],

  // metric selects a metric of the chosen instances. Those of a connection's opening
  // and end have a route, which others have not.
  metric(name, matchers='')::
    promql.metric(name, promql.join(selected + [
      if std.length([suffix for suffix in ['connections_active', 'connections_opened_total', 'connections_closed_total'] if std.endsWith(name, suffix)]) > 0
         || std.length(std.findSubstr('handshake_duration', name)) > 0 then 'http_route=~"$route"' else '',
      matchers,
    ])),

  // sockets are the processes that have WebSockets.
  sockets:: '{%s}' % promql.join(['__name__=~"ws_(client_)?connections_active"', config.selector] + selected),
  // of keeps what is of such processes, whatever else their job has.
  of(expr):: '%s and on (%s) %s' % [expr, promql.instance, lib.sockets],

  // zero is 0 where there is one, so that a quiet server shows zeros.
  zero:: '0 * group(%s)' % lib.sockets,
  zeroOf(label, value):: 'label_replace(%s, "%s", "%s", "", "")' % [lib.zero, label, value],
  orZero(expr):: '%s\nor\n%s' % [expr, lib.zero],

  // A stat shows its last value. This zero goes on for an hour after the last process is
  // gone, so that a stat does not show the connections of servers that are all down.
  orZeroWhenGone(expr):: '%s\nor\n0 * group(last_over_time(%s[1h]))' % [expr, lib.sockets],

  rate(name, matchers=''):: 'rate(%s[$__rate_interval])' % lib.metric(name, matchers),
  sum(expr, by=''):: if by == '' then 'sum(%s)' % expr else 'sum by (%s) (%s)' % [by, expr],

  // quantile of a histogram in either form. It is NaN while nothing is observed.
  quantile(q, name, matchers='', by='')::
    local classic = 'histogram_quantile(%g, sum by (%s) (%s))' % [q, promql.join(['le', by]), lib.rate(name + '_bucket', matchers)];
    local native = 'histogram_quantile(%g, %s)' % [q, lib.sum(lib.rate(name, matchers), by)];
    '(%s) >= 0' % promql.either(classic, native),
  // count adds what is in either form: while a fleet changes, it has both.
  count(name, matchers='', by='')::
    lib.sum(promql.either(lib.rate(name + '_count', matchers), 'histogram_count(%s)' % lib.rate(name, matchers)), by),

  // between is the rate of what a histogram has observed above low and up to high,
  // which are bounds of its buckets.
  between(name, low, high, matchers='')::
    local upTo(bound) = lib.rate(name + '_bucket', promql.join([matchers, promql.le(bound)]));
    lib.sum(promql.either(
      '%s - ignoring (le) %s' % [upTo(high), upTo(low)],
      'histogram_count(%(h)s) * histogram_fraction(%(low)s, %(high)s, %(h)s) >= 0' % { h: lib.rate(name, matchers), low: promql.number(low), high: promql.number(high) },
    )),

  // The ten instances that had the most over the whole time shown: of a counter, and
  // of a gauge, which over picks from its time.
  topRate(name):: 'sum by (%(I)s) (%(now)s)\nand\ntopk(10, sum by (%(I)s) (rate(%(metric)s[$__range] @ end())))' % {
    I: promql.instance,
    now: lib.rate(name),
    metric: lib.metric(name),
  },
  topRateOf(name):: 'sum by (%(I)s) (%(now)s)\nand\ntopk(10, sum by (%(I)s) (rate(%(metric)s[$__range] @ end())))\nand on (%(I)s) %(sockets)s' % {
    I: promql.instance,
    now: lib.rate(name),
    metric: lib.metric(name),
    sockets: lib.sockets,
  },
  top(name):: 'sum by (%(I)s) (%(metric)s)\nand\ntopk(10, sum by (%(I)s) (max_over_time(%(metric)s[$__range] @ end())))' % {
    I: promql.instance,
    metric: lib.metric(name),
  },
  topOf(name):: lib.top(name) + '\nand on (%s) %s' % [promql.instance, lib.sockets],

  // Panels.

  local datasource = { type: 'prometheus', uid: '${datasource}' },
  target(expr, legend, more={}):: { datasource: datasource, expr: expr, legendFormat: legend, range: true, exemplar: false } + more,
  exemplars:: { exemplar: true },

  local panel(type, title, description, targets) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    targets: [targets[i] { refId: std.char(65 + i) } for i in std.range(0, std.length(targets) - 1)],
    fieldConfig: { defaults: {}, overrides: [] },
    options: {},
  },

  // colours of names that mean the same wherever they show, and what they mean.
  colours(names):: { fieldConfig+: { overrides+: [
    {
      matcher: { id: 'byName', options: name },
      properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: names[name][0] } }]
                  + if std.length(names[name]) > 1 then [{ id: 'displayName', value: names[name][1] }] else [],
    }
    for name in std.objectFields(names)
  ] } },

  // capped has a quantile in the last bucket, which is shown as that bucket's bound,
  // say what is known of it.
  capped(bound, text):: { fieldConfig+: { defaults+: { mappings+: [
    { type: 'value', options: { [promql.number(bound)]: { text: text, index: 0 } } },
  ] } } },

  unit(unit):: { fieldConfig+: { defaults+: { unit: unit } } },
  decimals(n):: { fieldConfig+: { defaults+: { decimals: n } } },
  max(n):: { fieldConfig+: { defaults+: { max: n } } },
  thresholds(steps):: { fieldConfig+: { defaults+: { thresholds: {
    mode: 'absolute',
    steps: [{ color: 'green', value: null }] + [{ color: s[0], value: s[1] } for s in steps],
  } } } },

  timeseries(title, description, targets, unit='short'):: panel('timeseries', title, description, targets) {
    fieldConfig+: { defaults+: {
      unit: unit,
      min: 0,
      color: { mode: 'palette-classic' },
      custom: {
        drawStyle: 'line',
        lineWidth: 1,
        fillOpacity: 10,
        showPoints: 'never',
        spanNulls: false,
        // Zeros alone have no scale.
        axisSoftMax: { 'suffix:/s': 0.1, s: 0.001, percentunit: 0.01, bytes: 1024, Bps: 1024, short: 1 }[unit],
        stacking: { mode: 'none', group: 'A' },
      },
    } },
    options+: {
      legend: { displayMode: 'table', placement: 'bottom', showLegend: true, calcs: ['lastNotNull', 'max'] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  },
  stacked:: { fieldConfig+: { defaults+: { custom+: { fillOpacity: 40, stacking: { mode: 'normal', group: 'A' } } } } },

  stat(title, description, targets, unit='short'):: panel('stat', title, description, targets) {
    fieldConfig+: { defaults+: { unit: unit, min: 0, color: { mode: 'thresholds' } } },
    options+: {
      colorMode: 'value',
      graphMode: 'area',
      justifyMode: 'auto',
      orientation: 'auto',
      textMode: 'auto',
      wideLayout: true,
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    },
  } + lib.thresholds([]),

  heatmap(title, description, targets, unit):: panel('heatmap', title, description, targets) {
    fieldConfig+: { defaults+: { custom: { scaleDistribution: { type: 'linear' } } } },
    options+: {
      calculate: false,
      cellGap: 1,
      color: { mode: 'scheme', scheme: 'Blues', steps: 64, exponent: 0.5, fill: 'dark-blue', reverse: false, scale: 'exponential' },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: 'auto' },
      tooltip: { mode: 'single', yHistogram: false, showColorScale: false },
      yAxis: { axisPlacement: 'left', reverse: false, unit: unit },
    },
  },

  // rows lays out rows of panels, {title, collapsed, height, panels}, from the top.
  rows(rows)::
    local place(panels, y, height, width) = std.mapWithIndex(
      function(i, p) p { gridPos: {
        x: i % (24 / width) * width,
        y: y + std.floor(i / (24 / width)) * height,
        w: width,
        h: height,
      } }, panels
    );
    local heightOf(row) = std.ceil(std.length(row.panels) / (24 / row.width)) * row.height;
    local step(state, row) =
      local panels = place(row.panels, state.y + 1, row.height, row.width);
      local header = {
        type: 'row',
        title: row.title,
        collapsed: row.collapsed,
        gridPos: { x: 0, y: state.y, w: 24, h: 1 },
        panels: if row.collapsed then panels else [],
      };
      {
        y: state.y + 1 + if row.collapsed then 0 else heightOf(row),
        panels: state.panels + [header] + if row.collapsed then [] else panels,
      };
    local laid = std.foldl(step, rows, { y: 0, panels: [] }).panels;
    // Ids in the order of the page.
    local count(p) = 1 + std.length(if std.objectHas(p, 'panels') then p.panels else []);
    local first = function(i) 1 + std.foldl(function(n, p) n + count(p), laid[:i], 0);
    std.mapWithIndex(
      function(i, p) p { id: first(i) } + if std.objectHas(p, 'panels') then {
        panels: std.mapWithIndex(function(j, q) q { id: first(i) + 1 + j }, p.panels),
      } else {}, laid
    ),
}
