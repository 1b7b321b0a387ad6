// The settings of an installation. Override them like this:
//
//   (import 'mixin.libsonnet') + { _config+:: { selector: 'environment="production"' } }
{
  _config+:: {
    // Matchers of every query, such as 'environment="production"'.
    selector: '',

    // The labels of a service, and the labels of an instance. A label that your
    // series do not have does no harm. If two of your services differ only in another
    // label, such as region, add it.
    serviceLabels: ['cluster', 'namespace', 'job'],
    instanceLabels: self.serviceLabels + ['pod', 'instance'],

    // A target that has never answered has no metrics. It counts as a WebSocket server
    // if most targets of its job are WebSocket servers, or if its job has a name like
    // ws-server, wss1, web-socket or prod/ws. Set '' to use the metrics only.
    jobNames: '(?i).*web.?sockets?.*|(.*[^a-z0-9])?(otel)?wss?([^a-z].*)?',

    // Jobs that must always have metrics, such as ['prod/chat'].
    requiredJobs: [],

    // Read native histograms as well. Prometheus stores OpenTelemetry's exponential
    // histograms as native ones. Set it to false for vmalert, which does not have
    // their functions.
    nativeHistograms: true,

    // The address of the runbook, which has a section for each alert.
    runbookURL: 'https://github.com/otelws/otelws-go/blob/main/examples/mixin/runbook.md',

    // The type of the data source that the dashboard's link to traces opens.
    tracesDatasource: 'jaeger',

    // Close codes of connections that ended abnormally: without a close frame, or
    // because the server failed.
    abnormalCodes: '1006|1011|1014|1015',

    // Bucket bounds that alerts compare with. otelws must have these bounds.
    oversizedBytes: 262144,
    slowHeartbeatSeconds: 1,
    shortConnectionSeconds: 1,

    // A share is a part of 1. A rate is per second.
    thresholds: {
      // The events of a share must occur at this rate: 15 in five minutes.
      floor: 0.05,

      targetsDown: 0.05,  // of a service; with fewer, TargetDown is a warning
      scrapesAnswered: 0.5,  // by a target that fails now and then
      vanishedFor: '2h',  // how long an instance that stopped pushing is missed
      missingFor: '6h',  // how long a service is missed
      restarts: 3,  // in 30 minutes

      connectionsLost: 0.5,
      connectionsLostAtLeast: 100,

      usuallyOpened: 0.2,  // connections; with fewer, none for ten minutes means nothing
      connectionsLeft: 0.1,

      abnormal: 0.4,
      abnormalUnusual: 0.2,  // if it is 1.5 times the share of the last day
      abnormalOfInstance: 0.5,
      abnormalDialed: 0.2,

      // The share of the connections that must end well, over 30 days. A burn of n uses
      // up the error budget n times as fast.
      objective: 0.95,
      fastBurn: 14.4,  // over an hour, which uses 2 % of the budget
      fastBurnFloor: 0.2,  // more than one client that retries every 5 s
      slowBurn: 8,  // over a day, which uses 27 %

      apart: 0.1,
      apartFactor: 4,  // times its peers

      shortConnections: 0.5,
      meanLifetimeSeconds: 5,
      churn: 1,  // connections opened

      heartbeatsMissed: 0.1,
      heartbeatsSlow: 0.5,
      slowConnections: 5,  // with slow heartbeats; fewer have a poor network
      silentConnections: 5,

      descriptors: 0.8,
      writesBlocked: 0.05,
      writesBlockedAtLeast: 2,
      oversized: 0.05,
      protocolErrors: 0.2,
      handshakesFailed: 0.1,
      dialsFailedAtLeast: 3,  // in 15 minutes, with no connection open

      exportsFailed: 0.5,
      collectorQueue: 0.8,
      silenceCut: 0.5,
    },

    // Idle limits of balancers and proxies, in seconds, and the buckets of
    // ws_connection_idle_seconds around each.
    idleLimits: {
      '30': [28, 32],
      '55': [54, 58],
      '60': [58, 63],
      '100': [97, 105],
      '240': [235, 245],
      '350': [345, 355],
      '600': [590, 610],
    },
  },
}
