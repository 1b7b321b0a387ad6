// The mixin: prometheusRules, prometheusAlerts and grafanaDashboards, made from
// _config. See README.md.
(import 'config.libsonnet')
+ (import 'rules/rules.libsonnet')
+ (import 'alerts/alerts.libsonnet')
+ (import 'dashboards/dashboards.libsonnet')
