// Parts of the queries of rules and dashboards.
function(config) {
  local quoted = function(labels) std.join(', ', labels),

  service: quoted(config.serviceLabels),
  instance: quoted(config.instanceLabels),

  // metric selects a metric by the configured selector and by matchers.
  metric(name, matchers='')::
    local all = self.join([config.selector, matchers]);
    if all == '' then name else '%s{%s}' % [name, all],
  join(matchers):: std.join(', ', [m for m in matchers if m != '']),

  number(n):: '%.6g' % n,

  // le matches a bucket's bound in both forms: 5 as a process writes it, and 5.0 as
  // Prometheus 3 stores it.
  le(bound):: 'le=~"%s(\\\\.0)?"' % self.number(bound),

  // either is the query of classic histograms, or else the query of native ones.
  either(classic, native)::
    if config.nativeHistograms then '%s\nor\n%s' % [classic, native] else classic,

  local this = self,

  // observations is the rate of a histogram's observations over a window, by the given
  // labels. Two bucket bounds select the observations above low and up to high. The last line is
  // for a native histogram that observes nothing: it has no fraction.
  observations(name, labels, low=null, high=null, matchers='', window='5m')::
    local rate(name, matcher='') = 'sum by (%s) (rate(%s[%s]))' % [labels, this.metric(name, this.join([matchers, matcher])), window];
    local native = rate(name);
    this.either(
      (if high == null then rate(name + '_count') else rate(name + '_bucket', this.le(high)))
      + if low == null then '' else '\n  - ' + rate(name + '_bucket', this.le(low)),

      if low == null && high == null then 'histogram_count(%s)' % native else |||
        histogram_count(%(native)s) * histogram_fraction(%(low)s, %(high)s, %(native)s) >= 0
        or
        histogram_count(%(native)s)
      ||| % {
        native: native,
        low: if low == null then '-Inf' else this.number(low),
        high: if high == null then '+Inf' else this.number(high),
      },
    ),
}
