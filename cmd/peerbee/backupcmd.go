package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/peerbee/peerbee/gateway/localapi/client"
)

// backupFlags say where a backup goes and who can read it.
type backupFlags struct {
	file           string
	recipients     []string
	passphraseFile string
	plain          bool
}

func (a *app) networkBackupCommand() *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use: "backup -f FILE", Short: "Write a backup of the network to a file, encrypted",
		Long: "The file holds all another stick needs to take this one's place, in the format zigbee2mqtt and ZHA read, too.\n" +
			"Whoever can read it can listen to the network and command it: it is encrypted with age, to a passphrase or to\n" +
			"recipients, unless --plain is given. age -d opens it.",
		Example: "  sudo peerbee network backup -f network.json.age\n" +
			"  sudo peerbee network backup -f network.json.age --recipient age1...\n  sudo peerbee network backup -f network.json --plain",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			recipients, err := a.recipientsOf(f)
			if err != nil {
				return err
			}
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				return a.backupNetwork(ctx, c, f, recipients)
			})
		},
	}
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "the file to write; it must not exist yet")
	cmd.Flags().StringSliceVar(&f.recipients, "recipient", nil, "encrypt to this age recipient (age1...); may be repeated")
	cmd.Flags().StringVar(&f.passphraseFile, "passphrase-file", "", "take the passphrase from the first line of a file")
	cmd.Flags().BoolVar(&f.plain, "plain", false, "do not encrypt: the file then holds the network's keys in the clear")
	return cmd
}

func (f backupFlags) check() error {
	const example = "peerbee network backup -f network.json.age"
	ways := 0
	for _, chosen := range []bool{len(f.recipients) > 0, f.passphraseFile != "", f.plain} {
		if chosen {
			ways++
		}
	}
	switch {
	case f.file == "":
		return usageError{text: "no file named", hint: "for example: " + example}
	case ways > 1:
		return usageError{text: "--recipient, --passphrase-file and --plain exclude one another", hint: "for example: " + example}
	}
	if _, err := os.Lstat(f.file); err == nil {
		return existing{f.file}
	}
	return nil
}

// existing says that a file is there already: an older backup may be the only one that is of use.
type existing struct{ file string }

func (e existing) Error() string  { return e.file + " exists already" }
func (existing) NextStep() string { return "choose another name: an older backup is not overwritten" }

// recipientsOf asks for the passphrase before anything else is done; nil for a plain file.
func (a *app) recipientsOf(f backupFlags) ([]age.Recipient, error) {
	switch {
	case f.plain:
		return nil, nil
	case len(f.recipients) > 0:
		var list []age.Recipient
		for _, text := range f.recipients {
			r, err := age.ParseX25519Recipient(text)
			if err != nil {
				return nil, usageError{text: fmt.Sprintf("--recipient %q is no age recipient", text), hint: "age-keygen prints one, it begins with age1"}
			}
			list = append(list, r)
		}
		return list, nil
	}
	passphrase, err := a.passphrase(f)
	if err != nil {
		return nil, err
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("use the passphrase: %w", err)
	}
	return []age.Recipient{r}, nil
}

// maxPassphrase bounds the file a passphrase is read from.
const maxPassphrase = 1024

func (a *app) passphrase(f backupFlags) (string, error) {
	if f.passphraseFile == "" {
		return a.askPassphrase()
	}
	file, err := os.Open(f.passphraseFile)
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(file, maxPassphrase))
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", usageError{text: f.passphraseFile + " has no passphrase in its first line", hint: "write one there, or leave --passphrase-file out to be asked"}
	}
	return line, nil
}

// askPassphrase asks twice at the terminal.
func (a *app) askPassphrase() (string, error) {
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usageError{
			text: "no terminal to ask for a passphrase at",
			hint: "give --passphrase-file FILE, --recipient age1... or --plain",
		}
	}
	var entered [2]string
	for i, prompt := range []string{"passphrase for the backup: ", "again: "} {
		fmt.Fprint(a.err, prompt)
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		entered[i] = string(b)
	}
	switch {
	case entered[0] == "":
		return "", usageError{text: "the passphrase is empty", hint: "a file nobody has to decrypt is written with --plain"}
	case entered[0] != entered[1]:
		return "", usageError{text: "the two passphrases differ", hint: "try again"}
	}
	return entered[0], nil
}

func (a *app) backupNetwork(ctx context.Context, c *client.Client, f backupFlags, recipients []age.Recipient) error {
	done := a.progress("reading the stick")
	var document json.RawMessage
	err := c.Post(ctx, "/v1/network/backup", nil, &document)
	done()
	if err != nil {
		return err
	}
	body := append([]byte(document), '\n')
	if recipients != nil {
		if body, err = encrypt(body, recipients); err != nil {
			return err
		}
	}
	if err := writeNew(f.file, body); err != nil {
		return err
	}
	if recipients == nil {
		fmt.Fprintf(a.err, "wrote %s: the network's keys are in it in the clear\n", f.file)
		return nil
	}
	fmt.Fprintf(a.err, "wrote %s, encrypted; age -d %s shows it\n", f.file, f.file)
	return nil
}

func encrypt(body []byte, recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err == nil {
		_, err = w.Write(body)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the backup: %w", err)
	}
	return out.Bytes(), nil
}

// writeNew writes a file for its owner alone, whole or not at all, and never over another one.
func writeNew(path string, body []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return existing{path}
	}
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	_, err = file.Write(body)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write the backup: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// syncFolder brings a new name to disk.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
