// Helpers of the files of alerts.
function(config)
  (import '../rules/promql.libsonnet')(config) {
    config: config,
    t: config.thresholds,

    alert(name, severity, expr, summary, description, duration='0m', keep=null): {
      alert: name,
      expr: std.rstripChars(expr, '\n'),
      [if duration != '0m' then 'for']: duration,
      [if keep != null then 'keep_firing_for']: keep,
      labels: { severity: severity },
      annotations: {
        summary: summary,
        description: std.strReplace(std.rstripChars(description, '\n'), '\n', ' '),
        runbook_url: '%s#%s' % [config.runbookURL, std.asciiLower(name)],
      },
    },

    // burst is how long a rate over five minutes must be above its threshold. A burst of
    // up to three minutes fires nothing, such as a proxy that reloads, or clients that
    // all come back.
    burst:: '8m',

    // share is the rate bad as a part of the rate all, at level job or instance.
    share(level, bad, all):: '%s:%s:rate5m / %s:%s:rate5m' % [level, bad, level, all],

    // shareAbove is the share, if it is above a threshold and the rate bad is above the
    // floor.
    shareAbove(level, bad, all, threshold)::
      |||
        %s > %s
        and %s:%s:rate5m > %s
      ||| % [self.share(level, bad, all), self.number(threshold), level, bad, self.number(self.t.floor)],

    // worst is a sentence that names the instances with the largest share.
    worst(bad, all)::
      local own = std.join(', ', ['%s=%%q' % label for label in config.serviceLabels]);
      local values = std.join(' ', ['$labels.' + label for label in config.serviceLabels]);
      '{{ with printf `topk(3, instance:%s:rate5m{%s} / instance:%s:rate5m)` %s | query }}' % [bad, own, all, values]
      + 'The worst instances: {{ range $i, $s := . }}{{ if $i }}, {{ end }}{{ $s.Labels.instance }} {{ $s.Value | humanizePercentage }}{{ end }}.{{ end }}',
  }
