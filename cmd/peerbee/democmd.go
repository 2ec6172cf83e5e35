package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole thing on this machine, without hardware",
		Long: "A simulated stick with five sensors, a hive, a gateway and a peer, each its own process: pairing, sharing, live\n" +
			"readings, an ownership proof verified offline, and a peer that is killed and resumes with nothing lost.",
		Example: "  peerbee demo\n  peerbee demo --for 30s",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Exe, o.Out = exe, a.out
			if o.For != 0 && o.For < 15*time.Second {
				return usageError{fmt.Sprintf("--for %s is too short", o.For), "the steps take about 15 seconds: use --for 30s"}
			}
			verdict, err := demo.Run(cmd.Context(), o)
			if errors.Is(err, context.Canceled) {
				return context.Canceled
			}
			if err != nil {
				fmt.Fprintln(a.out, "demo: FAILED")
				return err
			}
			fmt.Fprintln(a.out, "\n"+verdict)
			return nil
		},
	}
	cmd.Flags().DurationVar(&o.For, "for", 0, "end by itself after this time (default: until Ctrl-C)")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "keep the state folders here (default: temporary)")
	return cmd
}
