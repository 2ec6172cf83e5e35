package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/pelletier/go-toml/v2"
)

// DefaultPath is where the package puts the main file; conf.d stands beside it.
const DefaultPath = "/etc/peerbee/peerbee.toml"

// maxFile bounds a configuration file: a larger one is some other file named by mistake.
const maxFile = 1 << 20

// FileError is a fault in one configuration file. Line and Column count from 1; 0 means the file as a whole.
type FileError struct {
	Path   string
	Line   int
	Column int
	Key    string // dotted key, when it is known
	Reason string
	Hint   string
}

func (e *FileError) Error() string {
	where := e.Path
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", e.Path, e.Line, e.Column)
	}
	if e.Key != "" {
		return fmt.Sprintf("%s: %s: %s", where, e.Key, e.Reason)
	}
	return fmt.Sprintf("%s: %s", where, e.Reason)
}

// NextStep is the hint shown below the error.
func (e *FileError) NextStep() string { return e.Hint }

// Load reads the main file and then conf.d/*.toml beside it in name order, later keys winning. A missing main
// file is no error when optional is true: the defaults stand. The result is validated.
func Load(path string, optional bool) (Config, error) {
	c := Default()
	files := []string{path}
	more, err := filepath.Glob(filepath.Join(filepath.Dir(path), "conf.d", "*.toml"))
	if err != nil {
		return c, fmt.Errorf("list conf.d: %w", err)
	}
	sort.Strings(more)
	files = append(files, more...)
	for i, f := range files {
		err := readFile(f, &c)
		if i == 0 && optional && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, err
		}
	}
	return c, c.Validate(path)
}

func readFile(path string, c *Config) error {
	info, err := os.Stat(path)
	if err != nil {
		return FileError{
			Path: path, Reason: "cannot be read: " + plain(err),
			Hint: "check the path, or run without --config to use the defaults",
		}.wrap(err)
	}
	if info.Size() > maxFile {
		return &FileError{
			Path: path, Reason: fmt.Sprintf("is %d bytes; a configuration is at most %d", info.Size(), maxFile),
			Hint: "name the right file with --config",
		}
	}
	data, err := os.ReadFile(path) // #nosec G304 -- the path is the administrator's own
	if err != nil {
		return FileError{
			Path: path, Reason: "cannot be read: " + plain(err),
			Hint: "the daemon's user needs read access: sudo chgrp peerbee " + path,
		}.wrap(err)
	}
	return decode(path, data, c)
}

// decode lays one file's keys over c. A key nobody knows is an error, never ignored.
func decode(path string, data []byte, c *Config) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(c)
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		e := strict.Errors[0]
		row, col := e.Position()
		key := dotted(e.Key())
		return &FileError{Path: path, Line: row, Column: col, Key: key, Reason: "unknown key", Hint: didYouMean(key)}
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, col := bad.Position()
		return &FileError{
			Path: path, Line: row, Column: col, Key: dotted(bad.Key()), Reason: tidy(bad.Error()),
			Hint: "correct the line, then run: peerbee config check --config " + path,
		}
	}
	if err != nil {
		return &FileError{Path: path, Reason: tidy(err.Error()), Hint: "correct the file, then run: peerbee config check --config " + path}
	}
	return nil
}

// Marshal writes c as TOML, complete with defaults.
func Marshal(c Config) ([]byte, error) {
	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	enc.SetIndentTables(false)
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return b.Bytes(), nil
}
