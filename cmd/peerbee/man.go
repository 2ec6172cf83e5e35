package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway"
)

// manCommand writes the manual page the package installs, from the same words as --help.
func (a *app) manCommand() *cobra.Command {
	var date string
	cmd := &cobra.Command{
		Use: "man", Short: "Print the manual page", Hidden: true, Args: noArgs,
		Example: "  peerbee man > peerbee.1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			writeManual(a.out, cmd.Root(), date)
			return nil
		},
	}
	cmd.Flags().StringVar(&date, "date", "", "date in the page's footer")
	return cmd
}

// writeManual renders the command tree with the macros of man(7).
func writeManual(w io.Writer, root *cobra.Command, date string) {
	fmt.Fprintf(w, ".TH PEERBEE 1 %q %q %q\n", date, "peerbee "+gateway.Version, "User Commands")
	fmt.Fprintf(w, ".SH NAME\npeerbee \\- %s\n", roff(root.Short))
	fmt.Fprint(w, ".SH SYNOPSIS\n.B peerbee\n.I command\n[\\fIargument\\fR ...]\n")
	fmt.Fprintf(w, ".SH DESCRIPTION\n%s\n", roff(root.Long))
	fmt.Fprint(w, ".SH OPTIONS OF EVERY COMMAND\n")
	manFlags(w, root.PersistentFlags().FlagUsages())
	fmt.Fprint(w, ".SH COMMANDS\n")
	for _, c := range root.Commands() {
		manEntry(w, c)
	}
	fmt.Fprint(w, ".SH EXIT STATUS\n0: done. 1: it failed; the line after \\fBhint:\\fR names the next step. 2: the command line cannot be meant.\n")
	fmt.Fprint(w, ".SH ENVIRONMENT\n.TP\n.B PEERBEE_SOCKET\nThe daemon's local socket, unless \\-\\-socket is given.\n")
	fmt.Fprint(w, ".SH FILES\n.TP\n.I /etc/peerbee/peerbee.toml\nThe configuration; conf.d/*.toml beside it is read after it.\n"+
		".TP\n.I /var/lib/peerbee\nKeys, devices, history and ledger of the gateway.\n"+
		".TP\n.I /run/peerbee/peerbee.sock\nThe daemon's local socket.\n")
}

func manEntry(w io.Writer, c *cobra.Command) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	fmt.Fprintf(w, ".SS %s\n", roff(strings.TrimSuffix(c.UseLine(), " [flags]")))
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintln(w, roff(text))
	manFlags(w, c.LocalNonPersistentFlags().FlagUsages())
	if c.Example != "" {
		fmt.Fprintf(w, ".PP\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	if c.Name() == "completion" { // cobra's own: one page for each shell would say the same
		return
	}
	for _, sub := range c.Commands() {
		manEntry(w, sub)
	}
}

// manFlags prints flags as --help does, in columns.
func manFlags(w io.Writer, usages string) {
	if usages != "" {
		fmt.Fprintf(w, ".PP\n.nf\n%s\n.fi\n", roff(strings.TrimRight(usages, "\n")))
	}
}

// roff escapes what the formatter would take for its own: backslashes, hyphens, and dots and quotes that begin a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
