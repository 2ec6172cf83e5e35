package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Check or show the configuration",
		Example: "  peerbee config check\n  peerbee config show",
		Args:    oneOfCommands, RunE: showHelp,
	}
	check := &cobra.Command{
		Use: "check", Short: "Check the configuration files", Example: "  peerbee config check --config ./peerbee.toml", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := a.load(cmd); err != nil {
				return err
			}
			what := a.configPath
			if _, err := os.Stat(what); errors.Is(err, os.ErrNotExist) {
				what = "there is no " + what + ", so the defaults stand"
			}
			fmt.Fprintln(a.err, "valid: "+what)
			return nil
		},
	}
	show := &cobra.Command{
		Use: "show", Short: "Show the configuration in force, defaults included", Args: noArgs,
		Example: "  peerbee config show\n  peerbee config show -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			text, err := config.Marshal(c)
			if err != nil {
				return err
			}
			if a.format != formatTable { // the same keys as in the file
				var keys map[string]any
				if err := toml.Unmarshal(text, &keys); err != nil {
					return fmt.Errorf("read the configuration back: %w", err)
				}
				return a.print(keys, nil)
			}
			_, err = a.out.Write(text)
			return err
		},
	}
	cmd.AddCommand(check, show)
	return cmd
}
