package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every -h fits on a screen, shows an example, and lists existing flags only.
func TestShortHelp(t *testing.T) {
	for _, cmd := range newRootCommand().Commands() {
		var stdout, stderr bytes.Buffer
		if code := run([]string{cmd.Name(), "-h"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%s -h: exit code %d, stderr %q", cmd.Name(), code, stderr.String())
		}
		text := stdout.String()
		lines := 0
		for line := range strings.Lines(text) {
			n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))
			lines += max(1, (n+screenColumns-1)/screenColumns)
			if n > screenColumns && !strings.Contains(cmd.Example, strings.TrimSpace(line)) {
				t.Errorf("%s -h has a line of %d columns: %s", cmd.Name(), n, line)
			}
		}
		if lines > screenLines {
			t.Errorf("%s -h takes %d lines:\n%s", cmd.Name(), lines, text)
		}
		for _, name := range strings.Fields(cmd.Annotations[commonFlags]) {
			if !strings.Contains(text, "--"+name) {
				t.Errorf("%s -h lacks --%s:\n%s", cmd.Name(), name, text)
			}
		}
		if cmd.HasExample() != strings.Contains(text, "Examples:\n  otelws "+cmd.Name()) {
			t.Errorf("%s -h has no example:\n%s", cmd.Name(), text)
		}
	}
}

// --help and the command help show all flags.
func TestLongHelp(t *testing.T) {
	for _, name := range []string{"check", "demo", "load", "probe"} {
		for _, args := range [][]string{{name, "--help"}, {"help", name}} {
			var stdout, stderr bytes.Buffer
			if code := run(args, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
				t.Errorf("%v: exit code %d, stderr %q", args, code, stderr.String())
			}
			command(t, name).Flags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" || !strings.Contains(stdout.String(), "--"+f.Name) {
					t.Errorf("%v lacks --%s, or it has no text", args, f.Name)
				}
			})
			for line := range strings.Lines(command(t, name).Long) {
				if n := utf8.RuneCountInString(line); n > screenColumns+1 {
					t.Errorf("%v has a line of %d columns: %s", args, n, line)
				}
			}
		}
	}
}

// No flag has a hyphen after a group, such as --tls-ca beside --tls.cert.
func TestFlagStyle(t *testing.T) {
	style := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$`)
	groups := map[string]bool{}
	var names []string
	for _, cmd := range newRootCommand().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			names = append(names, f.Name)
			if group, _, ok := strings.Cut(f.Name, "."); ok {
				groups[group] = true
			}
		})
	}
	for _, name := range names {
		word, _, hyphen := strings.Cut(name, "-")
		if !style.MatchString(name) || hyphen && groups[word] {
			t.Errorf("--%s: use a group, a dot and a name", name)
		}
	}
	if !groups["tls"] || !slices.Contains(names, "tls.ca") {
		t.Errorf("found the flags %q", names)
	}
}

func TestSuggestions(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"chek"}, "did you mean check?"},
		{[]string{"lo"}, "did you mean load?"},
		{[]string{"help", "demoo"}, "did you mean demo?"},
		{[]string{"help", "nonsense"}, `unknown command "nonsense"`},
		{[]string{"help", "load", "demo"}, `unexpected argument "demo": otelws load has no commands, so use otelws help load`},
		{[]string{"demo", "--client", "3"}, "did you mean --clients?"},
		{[]string{"load", "--verfy", "x"}, "did you mean --verify?"},
		{[]string{"load", "--log.levl", "x"}, "did you mean --log.level?"},
		{[]string{"check", "--nonsense"}, "see otelws check --help"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(tt.args, &stdout, &stderr)
		if code == 0 || stdout.Len() > 0 || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q, want %q", tt.args, code, stdout.String(), stderr.String(), tt.want)
		}
	}
}

func command(t *testing.T, name string) *cobra.Command {
	t.Helper()
	cmd, _, err := newRootCommand().Find([]string{name})
	check(t, err)
	return cmd
}
