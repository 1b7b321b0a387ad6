package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	otel "github.com/open-telemetry/opentelemetry-operator/apis/v1beta1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// The Collector accepts the configurations that the operator generates.
func TestCollectorConfigurations(t *testing.T) {
	collector := program(t, "otelcol")
	for _, c := range findAll[*otel.OpenTelemetryCollector](build(t, "collector")) {
		t.Run(c.Name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.yaml")
			check(t, os.WriteFile(file, []byte(must(c.Spec.Config.Yaml())(t)), 0o600))
			var env []string
			for _, e := range c.Spec.Env {
				value := e.Value
				if e.ValueFrom != nil {
					value = "node-1"
				}
				env = append(env, e.Name+"="+value)
			}
			runWith(t, env, collector, "validate", "--config", file)
		})
	}
}

// The agents find the server. Nothing else scrapes it then.
func TestAgentsFindTheServer(t *testing.T) {
	all := build(t, "overlays/collector")
	if pod := find[*appsv1.Deployment](t, all).Spec.Template; pod.Annotations["prometheus.io/scrape"] != "true" {
		t.Errorf("the pods have the annotations %v", pod.Annotations)
	}
	if monitors := findAll[*monitoringv1.PodMonitor](all); len(monitors) > 0 {
		t.Errorf("%d PodMonitors, so that it is scraped twice", len(monitors))
	}
}

// The service account of the agents may make their API requests, in the namespace in
// which they run.
func TestAgentsAccount(t *testing.T) {
	all := build(t, "collector")
	agent := findAll[*otel.OpenTelemetryCollector](all)[0]
	subject := find[*rbacv1.ClusterRoleBinding](t, all).Subjects[0]
	if subject.Name != agent.Spec.ServiceAccount || subject.Namespace != agent.Namespace {
		t.Errorf("the role is of %s in %s, the agent is %s in %s", subject.Name, subject.Namespace, agent.Spec.ServiceAccount, agent.Namespace)
	}
	var may []string
	for _, rule := range find[*rbacv1.ClusterRole](t, all).Rules {
		may = append(may, rule.Resources...)
	}
	for _, want := range []string{"pods", "namespaces", "replicasets"} {
		if !slices.Contains(may, want) {
			t.Errorf("the agent may not ask for %s", want)
		}
	}
}
