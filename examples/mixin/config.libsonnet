// Whatever differs from one installation to another. Override it like this:
//
//   (import 'mixin.libsonnet') + { _config+:: { selector: 'environment="production"' } }
{
  _config+:: {
    // Matchers that every query has, such as 'environment="production"'.
    selector: '',

    // The labels of a service, and those that tell its instances apart. A label
    // that your series do not have does no harm. Add region or environment where
    // two of your services differ in nothing else.
    serviceLabels: ['cluster', 'namespace', 'job'],
    instanceLabels: self.serviceLabels + ['pod', 'instance'],

    // A target that has never answered has shown no metric by which to know it. It
    // counts as a WebSocket server where most targets of its job are, or where its
    // job has a name like ws-server, websocket or prod/ws. Set '' to go by the
    // metrics alone.
    jobNames: '(?i).*websocket.*|(.*[^a-z0-9])?(ws|otelws)([^a-z0-9].*)?',

    // Jobs that must be there from the first day on, such as ['prod/chat'].
    requiredJobs: [],

    // Native histograms, to which exponential histograms of OpenTelemetry become.
    // Set it to false for vmalert, which has not got their functions.
    nativeHistograms: true,

    // Where the runbook is. Its sections have the names of the alerts.
    runbookURL: 'https://github.com/otelws/otelws-go/blob/main/examples/mixin/runbook.md',

    // The kind of data source that the dashboard's link to traces looks for.
    tracesDatasource: 'jaeger',

    // Close codes of connections that did not end well: nothing said goodbye, or
    // the server gave up.
    abnormalCodes: '1006|1011|1014|1015',

    // Bucket bounds that alerts compare with, among those of otelws.
    oversizedBytes: 262144,
    slowHeartbeatSeconds: 1,
    shortConnectionSeconds: 1,

    // Shares are of 1, rates are a second.
    thresholds: {
      // What a share is made of must come at this rate: 15 in five minutes.
      floor: 0.05,

      targetsDown: 0.05,  // of a service; below it TargetDown is a warning
      vanishedFor: '2h',  // how far back an instance that pushes is looked for
      missingFor: '6h',  // how far back a service is looked for
      restarts: 3,  // in 30 minutes

      connectionsLost: 0.5,
      connectionsLostAtLeast: 100,

      abnormal: 0.2,
      abnormalOfInstance: 0.5,

      // Connections that are to end well, over 30 days, and how many times as fast
      // as that allows they may end badly.
      objective: 0.95,
      fastBurn: 14.4,  // over an hour: 2 % of what 30 days allow
      slowBurn: 4,  // over a day: 13 %

      apart: 0.1,
      apartFactor: 4,  // times its peers

      shortConnections: 0.5,
      meanLifetimeSeconds: 5,
      churn: 1,  // connections opened

      heartbeatsMissed: 0.1,
      heartbeatsSlow: 0.5,
      silentConnections: 5,

      descriptors: 0.8,
      writesBlocked: 0.05,
      writesBlockedAtLeast: 2,
      oversized: 0.05,
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
