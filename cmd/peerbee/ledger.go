package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/blockchain"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

func (a *app) ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Look at the ownership ledger; make a proof; verify one offline",
		Example: "  peerbee ledger log\n  peerbee ledger show kitchen\n  peerbee ledger prove kitchen -f kitchen.proof\n" +
			"  peerbee ledger verify kitchen.proof",
		Args: oneOfCommands, RunE: showHelp,
	}
	log := &cobra.Command{
		Use: "log", Short: "List the records of this gateway's log", Example: "  peerbee ledger log", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.ledgerEntries(cmd, "/v1/ledger/log") },
	}
	show := &cobra.Command{
		Use: "show DEVICE", Short: "Show the records of one device", Example: "  peerbee ledger show kitchen",
		Args:              oneArg("a device's name or address", "peerbee ledger show kitchen"),
		ValidArgsFunction: a.completeDevice,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ledgerEntries(cmd, "/v1/ledger/devices/"+url.PathEscape(args[0]))
		},
	}
	cmd.AddCommand(log, show, a.proveCommand(), a.verifyCommand())
	return cmd
}

func (a *app) ledgerEntries(cmd *cobra.Command, path string) error {
	return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
		var list []api.LedgerEntry
		if err := c.Get(ctx, path, &list); err != nil {
			return err
		}
		return printList(a, list, func(w io.Writer) {
			row(w, "INDEX", "RECORD", "TYPE", "DEVICE", "SEQ", "OWNER", "TIME")
			for _, e := range list {
				row(w, fmt.Sprint(e.Index), short(e.ID), e.Type, orDash(e.Name), fmt.Sprint(e.Seq), short(e.Owner), e.Time.UTC().Format("2006-01-02 15:04 MST"))
			}
		})
	})
}

func (a *app) proveCommand() *cobra.Command {
	var file string
	var open bool
	cmd := &cobra.Command{
		Use: "prove DEVICE", Short: "Write a file that proves a device's ownership to anyone, offline",
		Example: "  peerbee ledger prove kitchen -f kitchen.proof\n  peerbee ledger prove kitchen -f - | ssh friend peerbee ledger verify -",
		Args:    oneArg("a device's name or address", "peerbee ledger prove kitchen -f kitchen.proof"),

		ValidArgsFunction: a.completeDevice,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				path := "/v1/ledger/devices/" + url.PathEscape(args[0]) + "/proof"
				if open {
					path += "?open=true"
				}
				proof, err := c.Raw(ctx, path)
				if err != nil {
					return err
				}
				return a.writeProof(file, proof)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file to write, or - for standard output")
	cmd.Flags().BoolVar(&open, "reveal", false, "include the secret that ties the record to the device's address")
	return cmd
}

func (a *app) writeProof(file string, proof []byte) error {
	switch file {
	case "":
		return usageError{"where to?", "name a file with -f kitchen.proof, or -f - for standard output"}
	case "-":
		_, err := a.out.Write(proof)
		return err
	}
	if err := os.WriteFile(file, proof, 0o600); err != nil {
		return fmt.Errorf("write the proof: %w", err)
	}
	fmt.Fprintf(a.err, "wrote %d bytes to %s; anyone can check it: peerbee ledger verify %s\n", len(proof), file, file)
	return nil
}

// maxProof bounds a proof file that is read.
const maxProof = 16 << 20

func (a *app) verifyCommand() *cobra.Command {
	var owners, origins []string
	var device string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Verify a proof file offline, and say what it proves and what not",
		Long: "Needs nothing but the file: no daemon, no network. With --owner, --log or --device it also fails when the\n" +
			"proof is about another owner, another log or another device. Exit status 0: everything holds.",
		Example: "  peerbee ledger verify kitchen.proof\n  peerbee ledger verify --device 00158d0001020304 kitchen.proof",
		Args:    oneArg("a proof file or -", "peerbee ledger verify kitchen.proof"),
		RunE: func(_ *cobra.Command, args []string) error {
			proof, err := a.readProof(args[0])
			if err != nil {
				return err
			}
			trust, err := trustOf(owners, origins, device)
			if err != nil {
				return err
			}
			v, err := blockchain.VerifyBundle(proof, trust)
			if err != nil {
				return notProved{err}
			}
			return a.print(v, func(w io.Writer) {
				for _, line := range v.Explain() {
					fmt.Fprintln(w, line)
				}
			})
		},
	}
	cmd.Flags().StringSliceVar(&owners, "owner", nil, "believe these owners only (AID)")
	cmd.Flags().StringSliceVar(&origins, "log", nil, "believe these logs only (origin)")
	cmd.Flags().StringVar(&device, "device", "", "the proof must be about this device (address)")
	return cmd
}

// notProved is the verifier's no.
type notProved struct{ err error }

func (e notProved) Error() string { return "NOT proved: " + e.err.Error() }
func (e notProved) Unwrap() error { return e.err }
func (e notProved) NextStep() string {
	return "do not rely on this file; its owner makes a new one with: peerbee ledger prove DEVICE -f FILE"
}

func (a *app) readProof(file string) ([]byte, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the proof: %w", err)
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxProof))
	if err != nil {
		return nil, fmt.Errorf("read the proof: %w", err)
	}
	return b, nil
}

func trustOf(owners, origins []string, device string) (blockchain.Trust, error) {
	t := blockchain.Trust{Origins: origins}
	for _, o := range owners {
		aid, err := blockchain.ParseAID(o)
		if err != nil {
			return t, usageError{fmt.Sprintf("--owner: %v", err), "peerbee status shows an owner's AID"}
		}
		t.Owners = append(t.Owners, aid)
	}
	if device != "" {
		id, err := blockchain.ParseDeviceID(device)
		if err != nil {
			return t, usageError{fmt.Sprintf("--device: %v", err), "a device's address has 16 hex digits"}
		}
		t.Device = &id
	}
	return t, nil
}
