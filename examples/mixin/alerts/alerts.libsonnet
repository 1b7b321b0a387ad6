// The alerts. Each file has the alerts of one subject.
{
  local alerts = (import 'lib.libsonnet')($._config),

  prometheusAlerts+:: {
    groups+: [
      { name: 'websocket-' + name, rules: groups[name](alerts) }
      for name in std.objectFields(groups)
    ],
  },

  local groups = {
    targets: import 'targets.libsonnet',
    connections: import 'connections.libsonnet',
    traffic: import 'traffic.libsonnet',
    clients: import 'clients.libsonnet',
    telemetry: import 'telemetry.libsonnet',
  },
}
