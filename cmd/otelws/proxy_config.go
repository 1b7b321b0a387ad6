package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// reloadable are the flags that the file of --config.file can set. The other flags
// configure what is created once, at the start: listeners, instruments and
// heartbeats.
var reloadable = []string{
	"tls.cert", "tls.key",
	"backend.ca", "backend.server-name", "backend.insecure-skip-verify", "backend.connect-timeout",
	"upgrade", "trusted-proxy", "forwarded", "trace.trust-clients",
	"limit.connections", "limit.client-connections", "limit.ipv6-prefix", "limit.handshakes", "limit.client-handshakes",
	"limit.idle", "limit.buffer-bytes", "limit.socket-bytes",
	"drain.timeout", "drain.spread", "drain.code",
}

// withFile returns the command with the given flags and the current content of its
// --config.file. A flag that the file no longer sets returns to its default.
func (p *proxyCommand) withFile(given *pflag.FlagSet) (*proxyCommand, error) {
	next := new(proxyCommand)
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	next.addFlags(flags)
	var err error
	given.Visit(func(f *pflag.Flag) {
		if to := flags.Lookup(f.Name); to != nil && err == nil { // --log.level is a global flag
			err = copyFlag(flags, to, f)
		}
	})
	if err == nil && p.configFile != "" {
		if err = readConfigFile(p.configFile, flags); err != nil {
			err = fmt.Errorf("--config.file %s: %w", p.configFile, err)
		}
	}
	if err == nil {
		next.drain.spreadSet = flags.Changed("drain.spread")
		err = next.validate()
	}
	next.flags, next.given = flags, given
	return next, err
}

func copyFlag(flags *pflag.FlagSet, to, from *pflag.Flag) error {
	values, ok := from.Value.(pflag.SliceValue)
	if !ok {
		return flags.Set(to.Name, from.Value.String())
	}
	to.Changed = true
	return to.Value.(pflag.SliceValue).Replace(values.GetSlice())
}

// readConfigFile sets flags from a YAML file with a map of flag names to values.
func readConfigFile(path string, flags *pflag.FlagSet) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 { // perhaps it is being written
		return errors.New("it is empty: write the settings, or a comment if there are none")
	}
	var file, more yaml.Node
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	switch err := d.Decode(&file); {
	case errors.Is(err, io.EOF): // only comments
		return nil
	case err != nil:
		return err
	case !errors.Is(d.Decode(&more), io.EOF):
		return errors.New("the file has more than one YAML document: use only one")
	}
	settings := file.Content[0]
	if settings.Kind == yaml.ScalarNode && settings.Tag == "!!null" {
		return nil
	}
	if settings.Kind != yaml.MappingNode {
		return errors.New("use names of flags and their values, such as limit.idle: 5m")
	}
	for i := 0; i < len(settings.Content); i += 2 {
		if err := setFromFile(flags, settings.Content[i].Value, settings.Content[i+1]); err != nil {
			return fmt.Errorf("line %d: %w", settings.Content[i].Line, err)
		}
	}
	return nil
}

func setFromFile(flags *pflag.FlagSet, name string, value *yaml.Node) error {
	f := flags.Lookup(name)
	switch {
	case f == nil:
		if near := suggest(name, reloadable); near != "" {
			return fmt.Errorf("there is no %s: did you mean %s?", name, near)
		}
		return fmt.Errorf("there is no %s: the file has flags of otelws proxy, without the hyphens", name)
	case !slices.Contains(reloadable, f.Name):
		return fmt.Errorf("%s cannot change while the proxy runs: give it as a flag, --%s", name, name)
	case f.Changed:
		return fmt.Errorf("%s is set already, by a flag or by another line: keep one of them", name)
	}
	values := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		if f.Value.Type() != "stringArray" && f.Value.Type() != "network" {
			return fmt.Errorf("%s takes one value, and not a list", name)
		}
		values = value.Content
	}
	f.Changed = true // also for an empty list
	for _, v := range values {
		switch {
		case v.Kind != yaml.ScalarNode:
			return fmt.Errorf("%s takes plain values only: write a text or a number", name)
		case v.Tag == "!!null":
			return fmt.Errorf("%s has no value: give one, or leave out the line", name)
		}
		if err := flags.Set(f.Name, v.Value); err != nil {
			return explainFlag(&cobra.Command{}, err)
		}
	}
	return nil
}

// reload applies the current content of the file to the gateway, and reads
// certificates and authorities again. If this fails, nothing changes.
func (p *proxyCommand) reload(gateway *proxy.Proxy, logger *slog.Logger) *proxyCommand {
	next, err := p.withFile(p.given)
	if err == nil {
		err = gateway.Apply(next.gatewayConfig())
	}
	if err != nil {
		logger.Error("failed to reload, keeping the old configuration and certificates", "err", err)
		return p
	}
	var changed []string
	next.flags.VisitAll(func(f *pflag.Flag) {
		if f.Value.String() != p.flags.Lookup(f.Name).Value.String() {
			changed = append(changed, f.Name)
		}
	})
	logger.Info("read certificates and authorities again", "config_file", p.configFile, "changed", strings.Join(changed, ", "))
	return next
}
