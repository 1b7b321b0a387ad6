// Command mixin renders the rules and the dashboard. Without arguments, it renders the
// files of examples/stack. With a configuration of your own, it needs a directory.
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
	config := flag.String("config", "", "`fields` of config.libsonnet to override, in jsonnet")
	out := flag.String("o", rendered, "`directory` to write rules.yml and grafana/dashboards to")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("%q is not a flag: give fields by -config and a directory by -o", flag.Arg(0))
	}
	if *config != "" && *out == rendered {
		log.Fatalf("-config needs -o: %s has the files of the default configuration", rendered)
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
