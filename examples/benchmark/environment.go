package main

import (
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Environment is the environment that the figures depend on.
type Environment struct {
	Time     time.Time         `json:"time"`
	OS       string            `json:"os"`
	Kernel   string            `json:"kernel,omitempty"`
	CPU      string            `json:"cpu,omitempty"`
	Cores    int               `json:"cores"`
	Go       string            `json:"go"`
	Versions map[string]string `json:"versions"`
}

// modules are the modules whose versions are reported.
var modules = []string{
	"github.com/coder/websocket",
	"github.com/prometheus/client_golang",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/sdk/metric",
	"go.opentelemetry.io/otel/exporters/prometheus",
}

func environment() Environment {
	e := Environment{
		Time:     time.Now().UTC().Truncate(time.Second),
		OS:       runtime.GOOS + "/" + runtime.GOARCH,
		Cores:    runtime.NumCPU(),
		Go:       runtime.Version(),
		Versions: make(map[string]string),
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		e.Kernel = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(b), "model name")
		line, _, _ := strings.Cut(rest, "\n")
		e.CPU = strings.Trim(line, "\t :")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			for _, m := range modules {
				if d.Path == m {
					e.Versions[m] = d.Version
				}
			}
		}
	}
	return e
}

func (e *Environment) add(versions map[string]string) { maps.Copy(e.Versions, versions) }
