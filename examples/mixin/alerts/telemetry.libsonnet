// Metrics and traces that do not arrive.
function(a)
  [
    a.alert(
      'WebSocketTelemetryLost',
      'warning',
      |||
        label_replace(
          sum by (%(I)s) (rate(%(dropped)s[5m])) > %(floor)s,
          "signal", "traces", "", ""
        )
        or
        label_replace(
          sum by (%(I)s) (rate(%(failed)s[15m])) / sum by (%(I)s) (rate(%(exports)s[15m])) > %(share)s,
          "signal", "metrics", "", ""
        )
      ||| % {
        I: a.instance,
        dropped: a.metric('otlp_spans_dropped_total'),
        failed: a.metric('otlp_metric_exports_failed_total'),
        exports: a.metric('otlp_metric_exports_total'),
        floor: a.number(a.t.floor),
        share: a.number(a.t.exportsFailed),
      },
      '{{ $labels.instance }} of {{ $labels.job }} loses {{ $labels.signal }} on the way to their backend.',
      |||
        Connections do not suffer, but what happens to them is not seen. Its log has the error of the export. Does the
        Collector run at OTEL_EXPORTER_OTLP_ENDPOINT, and take what comes? Dropped spans with reason queue_full want a
        larger OTEL_BSP_MAX_QUEUE_SIZE or a sampler.
      |||,
      duration='15m',
    ),

    a.alert(
      'WebSocketCollectorQueueFull',
      'warning',
      '%s / %s > %s' % [a.metric('otelcol_exporter_queue_size'), a.metric('otelcol_exporter_queue_capacity'), a.number(a.t.collectorQueue)],
      'The queue of {{ $labels.exporter }} in the Collector {{ $labels.instance }} is {{ $value | humanizePercentage }} full.',
      |||
        When it is full, data is dropped, or senders are told to wait. Its backend is away or too slow: look at
        otelcol_exporter_send_failed_* and at the backend. A longer queue buys time only.
      |||,
      duration='5m',
    ),

    a.alert(
      'WebSocketCollectorDropsData',
      'warning',
      std.join('or\n', [
        |||
          label_replace(
            sum by (%(I)s, receiver, exporter) (rate({%(matchers)s}[5m])) > %(floor)s,
            "signal", "%(metric)s", "", ""
          )
        ||| % {
          I: a.instance,
          metric: metric,
          matchers: a.join(['__name__=~"otelcol_%s(_total)?"' % metric, a.config.selector]),
          floor: a.number(a.t.floor),
        }
        for metric in [
          'exporter_send_failed_spans',
          'exporter_send_failed_metric_points',
          'exporter_enqueue_failed_spans',
          'exporter_enqueue_failed_metric_points',
          'receiver_refused_spans',
          'receiver_refused_metric_points',
        ]
      ]),
      'The Collector {{ $labels.instance }} loses {{ $value | humanize }} spans or points a second (otelcol_{{ $labels.signal }}).',
      |||
        The labels receiver and exporter say where: a receiver refuses when memory_limiter is at its limit, an exporter gives up
        when its backend refuses or is away. The Collector's log has the error.
      |||,
      duration='10m',
    ),

    a.alert(
      'WebSocketSeriesOverflow',
      'warning',
      'count by (%s) ({%s}) > 0' % [a.instance, a.join(['__name__=~"ws_.+"', 'otel_metric_overflow="true"', a.config.selector])],
      '{{ $labels.instance }} of {{ $labels.job }} has {{ $value }} metrics with more attribute sets than the SDK keeps.',
      |||
        What is beyond is lumped together, and sums by label are wrong. Declare fewer values, or raise the limit with
        sdkmetric.WithCardinalityLimit.
      |||,
      duration='1m',
    ),
  ]
