package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The output of -h fits on a screen of this size.
const (
	screenLines   = 23 // leaves a line for the prompt
	screenColumns = 80
)

// commonFlags is the annotation of a command that lists the flags of its -h.
const commonFlags = "common flags"

// common lists the flags that -h shows. Without a list, -h shows all flags.
func common(cmd *cobra.Command, flags ...string) {
	cmd.Annotations = map[string]string{commonFlags: strings.Join(flags, " ")}
}

// addHelp makes -h show one screen, and --help everything.
func addHelp(root *cobra.Command) {
	full := root.HelpFunc()
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 100"))
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd.HasParent() && slices.Contains(args, "-h") {
			writeScreen(cmd.OutOrStdout(), cmd)
			return
		}
		full(cmd, args)
	})
	root.SetHelpCommand(newHelpCommand())
}

func writeScreen(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "%s.\n\nUsage: %s\n", cmd.Short, cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.SortFlags = false
	names := strings.Fields(cmd.Annotations[commonFlags])
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if len(names) == 0 || slices.Contains(names, f.Name) {
			flags.AddFlag(f)
		}
	})
	fmt.Fprintf(w, "\nFlags:\n%s", flags.FlagUsagesWrapped(screenColumns))
	if cmd.Long != "" {
		fmt.Fprintf(w, "\nAll flags, and details: %s --help\n", cmd.CommandPath())
	}
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Show the help of a command",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range cmd.Root().Commands() {
				if c.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, words []string) error {
			found, rest, err := cmd.Root().Find(words)
			if err != nil {
				return err
			}
			switch {
			case len(rest) > 0 && found.HasParent():
				return fmt.Errorf("unexpected argument %q: %s has no commands, so use %s help %s",
					rest[0], found.CommandPath(), cmd.Root().Name(), found.Name())
			case len(rest) > 0:
				return knownCommand(cmd, rest)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}
