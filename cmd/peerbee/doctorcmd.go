package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/doctor"
)

var errUnhealthy = errors.New("something is wrong; each line above names the next step")

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		Short:   "Check this machine for what commonly goes wrong, with the next step for each",
		Example: "  peerbee doctor\n  sudo peerbee doctor -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			env := &doctor.Env{}
			env.Config, env.ConfigErr = a.load(cmd)
			doctor.System(env)
			c, err := a.daemon(cmd)
			if err != nil { // the configuration is broken: its own line says so
				env.Status = func(context.Context) (api.Status, error) { return api.Status{}, err }
			} else {
				defer c.Close()
				env.Status = func(ctx context.Context) (s api.Status, err error) {
					err = c.Get(ctx, "/v1/status", &s)
					return s, err
				}
			}
			findings := doctor.Run(cmd.Context(), env)
			if err := printList(a, findings, func(w io.Writer) { findingsTable(w, findings) }); err != nil {
				return err
			}
			if !doctor.Healthy(findings) {
				return errUnhealthy
			}
			return nil
		},
	}
}

func findingsTable(w io.Writer, findings []doctor.Finding) {
	for _, f := range findings {
		row(w, f.Verdict, f.Title, f.Text)
		if f.Hint != "" && f.Verdict != doctor.OK {
			row(w, "", "", "hint: "+f.Hint)
		}
	}
}
