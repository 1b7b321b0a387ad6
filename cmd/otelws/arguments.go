package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// between requires from least to most arguments. The text wanted describes them for error messages.
func between(least, most int, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch n := len(args); {
		case most == 0 && n > 0:
			return fmt.Errorf("unexpected argument %q: see %s -h", args[0], cmd.CommandPath())
		case n < least:
			return fmt.Errorf("missing argument: give %s, and see %s -h", wanted, cmd.CommandPath())
		case n > most:
			return fmt.Errorf("unexpected argument %q: give only %s, and see %s -h", args[most], wanted, cmd.CommandPath())
		}
		return nil
	}
}

// knownCommand returns an error for a word that is not a command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Root().Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if near := suggest(args[0], names); near != "" {
		return fmt.Errorf("unknown command %q: did you mean %s?", args[0], near)
	}
	return fmt.Errorf("unknown command %q: see %s -h", args[0], cmd.Root().Name())
}

// suggest returns the name that is most similar to a mistyped one, or "". Only Cobra's commands can
// measure the similarity.
func suggest(typed string, names []string) string {
	c := &cobra.Command{}
	for _, name := range names {
		c.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	for c.SuggestionsMinimumDistance = 1; c.SuggestionsMinimumDistance <= 2; c.SuggestionsMinimumDistance++ {
		if near := c.SuggestionsFor(typed); len(near) > 0 {
			return near[0]
		}
	}
	return ""
}

// webSocketAddress adds a missing scheme. It returns http and https as ws and wss, and accepts no other scheme.
func webSocketAddress(address string) (string, error) {
	full := address
	if !strings.Contains(full, "://") {
		full = "ws://" + full
	}
	scheme, rest, _ := strings.Cut(full, "://")
	switch scheme = strings.ToLower(scheme); scheme {
	case "http":
		scheme = "ws"
	case "https":
		scheme = "wss"
	}
	full = scheme + "://" + rest
	u, err := url.Parse(full)
	if err != nil || u.Host == "" || scheme != "ws" && scheme != "wss" {
		return "", fmt.Errorf("%s: use an address such as ws://localhost:8080/ws", address)
	}
	return full, nil
}
