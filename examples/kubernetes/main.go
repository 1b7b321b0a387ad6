// Command kubernetes generates the objects in monitoring from the rules and the dashboard of this
// repository. Run it in examples/kubernetes after changing them.
package main

import (
	"bytes"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sources are the files from which monitoring is generated, as patterns.
var sources = struct{ rules, dashboards string }{
	rules:      "../stack/config/rules.yml",
	dashboards: "../stack/config/grafana/dashboards/*.json",
}

const target = "monitoring"

func main() {
	log.SetFlags(0)
	files, err := monitoring()
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(target, name), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// monitoring returns the files of the directory monitoring, by name.
func monitoring() (map[string][]byte, error) {
	files := map[string][]byte{}
	for pattern, object := range map[string]func(name, text string) string{
		sources.rules:      prometheusRule,
		sources.dashboards: dashboard,
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("no file %s: run this in examples/kubernetes", pattern)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
			if files[name+".yaml"] != nil {
				return nil, fmt.Errorf("two sources are called %s", name)
			}
			files[name+".yaml"] = []byte(object(name, string(text)))
		}
	}
	var all bytes.Buffer
	fmt.Fprint(&all, "# Rules and dashboards for Prometheus's operator and Grafana. `go run .` writes this\n"+
		"# directory.\n"+
		"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: monitoring\nresources:\n")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&all, "  - %s\n", name)
	}
	fmt.Fprint(&all, "labels:\n  - pairs: { release: kube-prometheus-stack } # the name of the chart's release, which selects by it\n")
	files["kustomization.yaml"] = all.Bytes()
	return files, nil
}

// prometheusRule returns a PrometheusRule whose spec is the text of a rules file, including its
// comments.
func prometheusRule(name, text string) string {
	return `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: otelws-` + name + `
spec:
` + indent(text, "  ")
}

// dashboard returns a ConfigMap that Grafana's sidecar finds by its label.
func dashboard(name, text string) string {
	return `apiVersion: v1
kind: ConfigMap
metadata:
  name: otelws-dashboard-` + name + `
  labels: { grafana_dashboard: "1" }
data:
  ` + name + `.json: |
` + indent(text, "    ")
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(by)
		}
		b.WriteString(line)
	}
	return b.String()
}
