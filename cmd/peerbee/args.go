package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

// oneArg, noArgs and oneOfCommands say what is missing, and what was perhaps meant, instead of cobra's
// "accepts 1 arg(s)".
func oneArg(what, example string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 1:
			return nil
		case 0:
			return usageError{text: "expected " + what, hint: "for example: " + example}
		}
		return usageError{text: fmt.Sprintf("expected %s, got %d arguments", what, len(args)), hint: "for example: " + example}
	}
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{text: fmt.Sprintf("%s takes no argument, got %q", c.CommandPath(), args[0]), hint: c.CommandPath() + " --help"}
}

// oneOfCommands is for a command that has commands below it: an argument here is a typing error.
func oneOfCommands(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := usageError{text: fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath()), hint: c.CommandPath() + " --help"}
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		e.hint = "did you mean " + c.CommandPath() + " " + strings.Join(near, " or "+c.CommandPath()+" ") + "?"
	}
	return e
}

// showHelp is what a command does that only holds others.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// formatsOf names the annotation with which a command has other formats than the usual three.
const formatsOf = "peerbee formats"

func formats(c *cobra.Command) []string {
	if list, ok := c.Annotations[formatsOf]; ok {
		return strings.Split(list, ",")
	}
	return []string{formatTable, formatJSON, formatJSONL}
}

// checkCommandFormat runs before every command: a format that does not exist must not be found out after a
// ticket has been made or a network formed.
func (a *app) checkCommandFormat(c *cobra.Command, _ []string) error {
	return a.checkFormat(formats(c)...)
}

// completeFormats lets the shell offer what follows -o.
func completeFormats(root *cobra.Command) {
	offer := func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return formats(c), cobra.ShellCompDirectiveNoFileComp
	}
	_ = root.RegisterFlagCompletionFunc("output", offer) // fails for an unknown flag only, and then nothing is offered
}

// completionTimeout keeps a pressed Tab from hanging on a busy daemon.
const completionTimeout = time.Second

// completeDevices lets the shell offer the names of the devices; without a daemon it offers nothing.
func (a *app) completeDevices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var list []api.Device
	err := a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
		limited, cancel := context.WithTimeout(ctx, completionTimeout)
		defer cancel()
		return c.Get(limited, "/v1/devices", &list)
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, d := range list {
		if !slices.Contains(args, d.Name) {
			names = append(names, d.Name+"\t"+modelOf(d))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeDevice offers one device and then nothing more.
func (a *app) completeDevice(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeDevices(cmd, args, typed)
}
