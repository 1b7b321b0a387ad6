// Rows of the processes, and of what becomes of their telemetry.
function(lib, colours, config)
  local row(title, panels) = { title: title, panels: panels, width: 8, height: 9, collapsed: true };
  local I = std.join(', ', config.instanceLabels);
  local schedulerLatency = lib.of('topk(10, %s)' % lib.quantile(0.99, 'go_sched_latencies_seconds', by=I));

  [
    row('Telemetry', [
      lib.timeseries('Spans', 'That left, and that were dropped on the way.', [
        lib.target(lib.orZero(lib.sum(lib.of(lib.rate('otlp_spans_exported_total')))), 'exported'),
        lib.target(lib.sum(lib.of(lib.rate('otlp_spans_dropped_total')), 'reason') + '\nor on ()\n' + lib.zeroOf('reason', 'queue_full'), 'dropped: {{reason}}'),
      ], 'suffix:/s') + lib.colours({ exported: ['green'] }),
      lib.timeseries('Pushes of metrics that fail', 'Of all attempts. 0 where nothing is pushed.', [
        lib.target(lib.orZero('(%s / %s) >= 0' % [
          lib.sum(lib.of(lib.rate('otlp_metric_exports_failed_total'))),
          lib.sum(lib.of(lib.rate('otlp_metric_exports_total'))),
        ]), 'failed'),
      ], 'percentunit') + lib.colours({ failed: ['red'] }),
      lib.timeseries('Queues of the Collectors', 'As a share of their capacity: of every Collector that this Prometheus scrapes.', [
        lib.target('max by (job, instance, exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)\nor on ()\n' + lib.zeroOf('exporter', 'none'), '{{instance}} {{exporter}}'),
      ], 'percentunit'),
      lib.timeseries('Series, ten largest instances', 'Of a scrape. It grows with labels, never with connections.', [
        lib.target(lib.topOf('scrape_samples_scraped'), '{{instance}}'),
      ]),
      lib.timeseries('Time of a scrape, ten slowest', 'Above the timeout of the scrape, an instance counts as down.', [
        lib.target(lib.topOf('scrape_duration_seconds'), '{{instance}}'),
      ], 's'),
      lib.timeseries('Attribute sets above the limit', 'Metrics that lump together what is beyond: sums by label are wrong. Declare fewer values.', [
        lib.target('count by (job) ({__name__=~"ws_.+", otel_metric_overflow="true", cluster=~"$cluster", namespace=~"$namespace", job=~"$job", instance=~"$instance"})\nor on ()\n' + lib.zeroOf('job', 'none'), '{{job}}'),
      ]),
    ]),

    row('Processes', [
      lib.timeseries('CPU, ten busiest', 'Cores.', [lib.target(lib.topRateOf('process_cpu_seconds_total'), '{{instance}}')]),
      lib.timeseries('Resident memory, ten largest', 'About 15 KiB a connection, and what the application holds.', [
        lib.target(lib.topOf('process_resident_memory_bytes'), '{{instance}}'),
      ], 'bytes'),
      lib.timeseries('Descriptors, ten fullest', 'As a share of the limit. At 100 %% an instance refuses connections; an alert fires at %g %%.' % (100 * config.thresholds.descriptors), [
        lib.target('(%(fds)s)\nand on (%(I)s)\ntopk(10, max_over_time(%(open)s[$__range] @ end()) / max_over_time(%(max)s[$__range] @ end()))' % {
          I: I,
          open: lib.metric('process_open_fds'),
          max: lib.metric('process_max_fds'),
          fds: lib.of('(%s / %s)' % [lib.metric('process_open_fds'), lib.metric('process_max_fds')]),
        }, '{{instance}}'),
      ], 'percentunit') + lib.max(1),
      lib.timeseries('Goroutines, ten highest', 'Some for each connection. More and more beside few connections: handlers that do not end.', [
        lib.target(lib.topOf('go_goroutines'), '{{instance}}'),
      ]),
      lib.timeseries('Scheduler latency, 99 %, ten highest', 'How long goroutines wait for a CPU. Heartbeats are late by as much.', [
        lib.target(schedulerLatency, '{{instance}}'),
      ], 's'),
      lib.timeseries('Garbage collection, ten highest', 'Share of the time with the world stopped.', [
        lib.target(lib.topRateOf('go_gc_duration_seconds_sum'), '{{instance}}'),
      ], 'percentunit'),
    ]),
  ]
