// Metrics and traces that get lost.
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
        Connections are not affected, but you cannot see what happens to them. The log of the instance has the
        error of the export. Check that the Collector runs at OTEL_EXPORTER_OTLP_ENDPOINT and accepts data. If
        spans are dropped with reason queue_full, raise OTEL_BSP_MAX_QUEUE_SIZE or use a sampler.
      |||,
      duration='15m',
    ),

    a.alert(
      'WebSocketCollectorQueueFull',
      'warning',
      '%s / %s > %s' % [a.metric('otelcol_exporter_queue_size'), a.metric('otelcol_exporter_queue_capacity'), a.number(a.t.collectorQueue)],
      'The queue of {{ $labels.exporter }} in the Collector {{ $labels.instance }} is {{ $value | humanizePercentage }} full.',
      |||
        When the queue is full, the Collector drops data or tells senders to wait. Its backend is down or too
        slow: check otelcol_exporter_send_failed_* and the backend. A longer queue only gives you time.
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
        The labels receiver and exporter say where. A receiver refuses data when memory_limiter is at its limit.
        An exporter gives up when its backend refuses data or is down. The log of the Collector has the error.
      |||,
      duration='10m',
    ),

    a.alert(
      'WebSocketSeriesOverflow',
      'warning',
      'count by (%s) ({%s}) > 0' % [a.instance, a.join(['__name__=~"ws_.+"', 'otel_metric_overflow="true"', a.config.selector])],
      '{{ $labels.instance }} of {{ $labels.job }} has {{ $value }} metrics with more attribute sets than the SDK keeps.',
      |||
        All further sets share one series, so sums by label are wrong. Declare fewer values, or raise the limit
        with sdkmetric.WithCardinalityLimit.
      |||,
      duration='1m',
    ),
  ]
