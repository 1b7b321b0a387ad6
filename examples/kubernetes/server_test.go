package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// eachServer calls f for every root that contains the server.
func eachServer(t *testing.T, f func(*testing.T, objects, corev1.PodTemplateSpec)) {
	servers := 0
	for _, root := range roots(t) {
		all := build(t, root)
		if len(findAll[*appsv1.Deployment](all)) == 0 {
			continue
		}
		servers++
		t.Run(root, func(t *testing.T) { f(t, all, find[*appsv1.Deployment](t, all).Spec.Template) })
	}
	if servers < 4 {
		t.Errorf("%d roots have the server in them", servers)
	}
}

// containers returns the containers that run as long as the pod, sidecars first.
func containers(pod corev1.PodTemplateSpec) []corev1.Container {
	var all []corev1.Container
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, c)
		}
	}
	return append(all, pod.Spec.Containers...)
}

func TestSelectorsSelectTheServer(t *testing.T) {
	eachServer(t, func(t *testing.T, all objects, pod corev1.PodTemplateSpec) {
		selectors := map[string]*metav1.LabelSelector{
			"Deployment":          find[*appsv1.Deployment](t, all).Spec.Selector,
			"PodDisruptionBudget": find[*policyv1.PodDisruptionBudget](t, all).Spec.Selector,
			"NetworkPolicy":       &find[*networkingv1.NetworkPolicy](t, all).Spec.PodSelector,
			"Service":             {MatchLabels: find[*corev1.Service](t, all).Spec.Selector},
		}
		for _, m := range findAll[*monitoringv1.PodMonitor](all) {
			selectors["PodMonitor"] = &m.Spec.Selector
		}
		for kind, s := range selectors {
			selector := must(metav1.LabelSelectorAsSelector(s))(t)
			if selector.Empty() || !selector.Matches(labels.Set(pod.Labels)) {
				t.Errorf("the selector of the %s is %q, the pods are %v", kind, selector, pod.Labels)
			}
		}
	})
}

// Every named port belongs to a container, and only scrapers can reach the metrics.
func TestPorts(t *testing.T) {
	eachServer(t, func(t *testing.T, all objects, pod corev1.PodTemplateSpec) {
		have := map[string]bool{}
		for _, c := range containers(pod) {
			for _, p := range c.Ports {
				if have[p.Name] {
					t.Errorf("two containers have a port %s", p.Name)
				}
				have[p.Name] = true
			}
		}
		want := func(who, port string) {
			if !have[port] {
				t.Errorf("%s names the port %q, which no container has", who, port)
			}
		}
		for _, c := range containers(pod) {
			for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
				switch {
				case p == nil:
				case p.HTTPGet != nil:
					want("a probe", p.HTTPGet.Port.String())
				default:
					want("a probe", p.TCPSocket.Port.String())
				}
			}
		}
		for _, p := range find[*corev1.Service](t, all).Spec.Ports {
			want("the Service", p.TargetPort.String())
			if p.TargetPort.String() == "metrics" {
				t.Error("the Service has the metrics")
			}
		}
		scraper := "observability"
		for _, m := range findAll[*monitoringv1.PodMonitor](all) {
			scraper = "monitoring"
			want("the PodMonitor", *m.Spec.PodMetricsEndpoints[0].Port)
		}
		for _, rule := range find[*networkingv1.NetworkPolicy](t, all).Spec.Ingress {
			for _, p := range rule.Ports {
				want("the NetworkPolicy", p.Port.String())
				if *p.Port != intstr.FromString("metrics") {
					continue
				}
				if len(rule.From) != 1 || rule.From[0].NamespaceSelector.MatchLabels[corev1.LabelMetadataName] != scraper {
					t.Errorf("the metrics are open to %v, and %s scrapes them", rule.From, scraper)
				}
			}
		}
	})
}

// closing is the maximum time that a container without --drain.timeout needs to close
// its connections.
const closing = 20 * time.Second

// lastExport is the maximum time that otelws needs to export its last telemetry.
const lastExport = 5 * time.Second

// The grace period is long enough: the containers close their connections one after
// the other, the sidecar last.
func TestGracePeriodCoversTheDrain(t *testing.T) {
	timeout := regexp.MustCompile(`^--drain.timeout=(.+)`)
	eachServer(t, func(t *testing.T, _ objects, pod corev1.PodTemplateSpec) {
		var total time.Duration
		for _, c := range containers(pod) {
			if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
				total += time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
			}
			drain := closing
			for _, arg := range c.Args {
				if m := timeout.FindStringSubmatch(arg); m != nil {
					drain = must(time.ParseDuration(m[1]))(t) + lastExport
				}
			}
			total += drain
		}
		if grace := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second; grace < total || grace > 2*total {
			t.Errorf("terminationGracePeriodSeconds is %v, the containers take %v", grace, total)
		}
	})
}

// The memory limit of Go is below the memory limit of the container, so the garbage
// collector works harder before the kernel kills the process.
func TestMemoryLimits(t *testing.T) {
	eachServer(t, func(t *testing.T, _ objects, pod corev1.PodTemplateSpec) {
		for _, c := range containers(pod) {
			i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
			if i < 0 {
				if c.Image == "otelws" {
					t.Errorf("%s has no GOMEMLIMIT", c.Name)
				}
				continue
			}
			// Go writes 200MiB, and Kubernetes writes 200Mi.
			soft := must(resource.ParseQuantity(strings.TrimSuffix(c.Env[i].Value, "B")))(t)
			ratio := soft.AsApproximateFloat64() / c.Resources.Limits.Memory().AsApproximateFloat64()
			if ratio < 0.7 || ratio > 0.85 {
				t.Errorf("GOMEMLIMIT of %s is %.2f of its memory", c.Name, ratio)
			}
		}
	})
}

// The pods satisfy the restricted Pod Security Standard.
func TestPodsAreRestricted(t *testing.T) {
	evaluator := must(policy.NewEvaluator(policy.DefaultChecks(), nil))(t)
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	eachServer(t, func(t *testing.T, _ objects, pod corev1.PodTemplateSpec) {
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		for _, c := range containers(pod) {
			if ro := c.SecurityContext.ReadOnlyRootFilesystem; ro == nil || !*ro {
				t.Errorf("%s can write to its file system", c.Name)
			}
		}
	})
}

// otelws accepts the arguments in the manifests.
func TestArguments(t *testing.T) {
	otelws := filepath.Join(t.TempDir(), "otelws")
	run(t, "go", "build", "-C", "../..", "-o", otelws, "./cmd/otelws")
	eachServer(t, func(t *testing.T, _ objects, pod corev1.PodTemplateSpec) {
		ours := 0
		for _, c := range containers(pod) {
			if c.Image == "otelws" {
				ours++
				run(t, otelws, append(c.Args, "--help")...) // --help comes last, so errors in other arguments show
			}
		}
		if ours != 1 {
			t.Errorf("%d containers of otelws", ours)
		}
	})
}

func TestAutoscaling(t *testing.T) {
	all := build(t, "overlays/production")
	server, scaled := find[*appsv1.Deployment](t, all), find[*keda.ScaledObject](t, all)
	if name := scaled.Spec.ScaleTargetRef.Name; name != server.Name {
		t.Errorf("it scales %s, the server is %s", name, server.Name)
	}
	if server.Spec.Replicas != nil {
		t.Error("each apply sets the number of servers back")
	}
	query := scaled.Spec.Triggers[0].Metadata["query"]
	if want := fmt.Sprintf(`{namespace="%s", job="%s"}`, server.Namespace, server.Spec.Template.Labels["app.kubernetes.io/name"]); !strings.Contains(query, want) {
		t.Errorf("the query is %s, want %s in it", query, want)
	}
	run(t, program(t, "promtool"), "--experimental", "promql", "format", query)
}

// run returns the output of a command, and fails the test if the command fails.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return runWith(t, nil, name, args...)
}

func runWith(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// program returns the path of a program from examples/stack, which is built once.
func program(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it may take minutes to build " + name)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "go", "run", "-C", "../stack", ".", "build", name)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return strings.TrimSpace(string(out))
}
