package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The configuration files, relative to the directory of the module. Users of otelws
// copy the Collector's.
const (
	configDir       = "config"
	collectorConfig = "../../otel-collector.yaml"
)

// writePrometheusConfig copies prometheus.yml and rules.yml. It replaces the default
// addresses with the stack's addresses, and divides the intervals by the speed.
func (s *Stack) writePrometheusConfig() (path string, err error) {
	for _, name := range []string{"prometheus.yml", "rules.yml"} {
		text, err := os.ReadFile(filepath.Join(configDir, name))
		if err != nil {
			return "", fmt.Errorf("failed to read the configuration, run this in examples/stack: %w", err)
		}
		result := s.At.replaceDefault(Faster(string(text), s.Speed))
		if s.Edit != nil {
			result = s.Edit(result)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(result), 0o644); err != nil {
			return "", err
		}
	}
	return filepath.Join(s.Dir, "prometheus.yml"), nil
}

var collectorJob = regexp.MustCompile(`(?m)^  - job_name: collector\n(    .*\n|\n)*`)

// withoutCollector removes the Collector from the scrape targets.
func withoutCollector(text string) string { return collectorJob.ReplaceAllLiteralString(text, "") }

var durations = regexp.MustCompile(`(\[|_interval: |_timeout: |for: )(\d+)([smh])\b`)

// Faster divides the durations in a configuration or a query by speed: intervals,
// windows, and the waiting times of alerts.
func Faster(text string, speed int) string {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
	return durations.ReplaceAllStringFunc(text, func(s string) string {
		m := durations.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		d := time.Duration(n) * units[m[3]] / time.Duration(speed)
		return fmt.Sprintf("%s%dms", m[1], d.Milliseconds())
	})
}

// replaceDefault replaces the default addresses in text with the addresses of a.
func (a *Addresses) replaceDefault(text string) string {
	from := Default()
	var pairs []string
	for i, address := range from.all() {
		pairs = append(pairs, *address, *a.all()[i])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
