// Command mixin renders the mixin: without arguments the rules and the dashboard of
// examples/stack, with a configuration of your own to wherever you say.
//
//	go run . -config "nativeHistograms: false, thresholds+: { abnormal: 0.5 }" -o /etc/prometheus
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	config := flag.String("config", "", "`fields` of config.libsonnet that are to be others, in jsonnet")
	out := flag.String("o", rendered, "`directory` to write rules.yml and grafana/dashboards to")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("%q is not a flag: give fields by -config and a directory by -o", flag.Arg(0))
	}
	if *config != "" && *out == rendered {
		log.Fatalf("-config wants -o: %s has what the mixin renders without", rendered)
	}
	files, err := Render(*config)
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(*out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			log.Fatal(err)
		}
		log.Print(path)
	}
}
