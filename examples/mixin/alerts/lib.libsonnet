// What the files of alerts share.
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

    // share is the part of the rate all that is bad, at level job or instance.
    share(level, bad, all):: '%s:%s:rate5m / %s:%s:rate5m' % [level, bad, level, all],

    // shareAbove has the share where it is above a threshold, and enough is bad for
    // the share to say something.
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
