//go:build unix

package binaries

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
)

// The programs, with the build time on a machine with two cores.
var (
	Prometheus = Binary{
		Name: "prometheus", Version: "3.16.0", took: 3 * time.Minute,
		recipe: goInstall{
			Package: "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0",
			Tags:    "netgo,remove_all_sd", // the stack has only static targets
			LDFlags: "-X github.com/prometheus/common/version.Version=3.16.0",
		},
	}
	Promtool = Binary{
		Name: "promtool", Version: "3.16.0", took: time.Minute,
		recipe: goInstall{
			Package: "github.com/prometheus/prometheus/cmd/promtool@v0.316.0",
			Tags:    "netgo,remove_all_sd",
			LDFlags: "-X github.com/prometheus/common/version.Version=3.16.0",
		},
	}
	Collector = Binary{
		Name: "otelcol", Version: "0.165.0", took: 5 * time.Minute,
		recipe: collectorBuilder{
			Builder:  "go.opentelemetry.io/collector/cmd/builder@v0.165.0",
			Manifest: collectorManifest,
		},
	}
	Jaeger = Binary{
		Name: "jaeger", Version: "1.76.0", took: 4 * time.Minute,
		// Its go.mod has replace directives, so go install rejects it.
		recipe: goSource{Module: "github.com/jaegertracing/jaeger@v1.76.0", Package: "./cmd/jaeger"},
	}
	VictoriaMetrics = Binary{
		Name: "victoria-metrics", Version: "1.151.0", took: 40 * time.Second,
		recipe: goInstall{Package: "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.151.0"},
	}
	VMAlert = Binary{
		Name: "vmalert", Version: "1.151.0", took: 30 * time.Second,
		recipe: goInstall{Package: "github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert@v1.151.0"},
	}
	GoReleaser = Binary{
		Name: "goreleaser", Version: "2.16.0", took: 5 * time.Minute,
		// Later versions need a later Go than this module, or a module that is not
		// available.
		recipe: goInstall{Package: "github.com/goreleaser/goreleaser/v2@v2.16.0"},
	}
)

// All is the list of all programs of the stack, of the fleet and of their tests.
var All = []Binary{Prometheus, Promtool, Collector, Jaeger, VictoriaMetrics, VMAlert, GoReleaser}

//go:embed collector.yaml
var collectorManifest string

// Named returns the binary with that name.
func Named(name string) (Binary, error) {
	var names []string
	for _, b := range All {
		if b.Name == name {
			return b, nil
		}
		names = append(names, b.Name)
	}
	return Binary{}, fmt.Errorf("there is no program %q: use one of %s", name, strings.Join(names, ", "))
}
