package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// eachCommand visits every command of ours, hidden ones too.
func eachCommand(t *testing.T, visit func(t *testing.T, c *cobra.Command)) {
	t.Helper()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) { visit(t, c) })
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}

func TestEveryCommandHelps(t *testing.T) {
	eachCommand(t, func(t *testing.T, c *cobra.Command) {
		if c.Example == "" {
			t.Error("has no Example")
		}
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(line, "  ") || !strings.Contains(line, c.Root().Name()) {
				t.Errorf("example %q does not begin with two spaces and name the program", line)
			}
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("Short is %q: a line without a full stop at its end", c.Short)
		}
		if c.Args == nil && !strings.Contains(c.Use, "...") {
			t.Error("does not check its arguments")
		}
		if c.Run == nil && c.RunE == nil {
			t.Error("does nothing by itself: RunE = showHelp refuses what is not a command below it")
		}
	})
}

// TestEveryCommandRefusesAnUnknownFormat keeps commands from acting first and failing to print afterwards.
func TestEveryCommandRefusesAnUnknownFormat(t *testing.T) {
	eachCommand(t, func(t *testing.T, c *cobra.Command) {
		args := append(strings.Fields(c.CommandPath())[1:], "-o", "yaml")
		for range strings.Count(strings.TrimPrefix(c.Use, c.Name()), " ") {
			args = append(args, "x")
		}
		var out, errs bytes.Buffer
		// A socket that cannot exist: a command that gets as far as the daemon fails in another way.
		code := run(context.Background(), append(args, "--socket", "/dev/null/none"), strings.NewReader(""), &out, &errs)
		if code != exitUsage || out.Len() > 0 {
			t.Errorf("%q: exit status %d, %q, %q", args, code, out.String(), errs.String())
		}
	})
}

func TestManualNamesEveryCommand(t *testing.T) {
	var page bytes.Buffer
	writeManual(&page, (&app{}).root(), "2026-01-02")
	eachCommand(t, func(t *testing.T, c *cobra.Command) {
		if heading := ".SS " + roff(c.CommandPath()); !c.Hidden && c.HasParent() && !strings.Contains(page.String(), heading) {
			t.Errorf("no %q in the manual page", heading)
		}
	})
	for line := range strings.Lines(page.String()) {
		if strings.HasPrefix(line, "'") {
			t.Errorf("line %q would be taken for a request", line)
		}
	}
}
