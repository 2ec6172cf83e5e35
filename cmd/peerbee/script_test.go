package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output inside testdata/*.txtar")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"peerbee": main})
}

// TestScripts runs testdata/*.txtar. Each reads like a page of a manual: a command, then what it says. $S is a
// folder with a path short enough for sockets; its socket is the one every command talks to.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(3 * time.Minute), // for a command that hangs
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"expand":  expand,
			"until":   until,
			"shape":   shape,
			"forge":   forge,
			"capture": capture,
			"try":     try,
		},
	})
}

func setup(env *testscript.Env) error {
	// A unix socket's path has at most 107 bytes; the folders of tests are longer than that on some machines.
	short, err := os.MkdirTemp("/tmp", "pb")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(short) }) // a leftover below /tmp harms nobody
	env.Setenv("S", short)
	env.Setenv("PEERBEE_SOCKET", filepath.Join(short, "sock"))
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("XDG_CONFIG_HOME", "")
	env.Setenv("TZ", "UTC")
	env.Setenv("COLUMNS", "")
	return nil
}

// expand FILE... replaces $S and other variables inside the files.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// untilTimeout is generous: the machine may be busy, and nothing here measures time.
const untilTimeout = 30 * time.Second

// until PATTERN COMMAND ARG... repeats the command until its standard output matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND ARG...")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(untilTimeout); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%q never showed %q; last: %v\n%s%s", strings.Join(args[1:], " "), args[0], err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		}
	}
}

// try COMMAND ARG... runs a command whose exit status depends on the machine.
func try(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: try COMMAND ARG...")
	}
	if err := ts.Exec(args[0], args[1:]...); err != nil {
		ts.Logf("%v", err)
	}
}

// capture NAME PATTERN sets a variable to what the pattern's first group matches in the last standard output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no match for %q in the output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// forge FILE flips one bit in the middle of a file.
func forge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: forge FILE")
	}
	b := []byte(ts.ReadFile(args[0]))
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// shape FILE writes the shape of the JSON values last printed: every field and its type, not its value. A list
// shows its first element. Programs rely on these fields.
func shape(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: shape FILE")
	}
	var out strings.Builder
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	for dec.More() {
		var v any
		ts.Check(dec.Decode(&v))
		b, err := json.MarshalIndent(shapeOf(v), "", "  ")
		ts.Check(err)
		fmt.Fprintf(&out, "%s\n", b)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o600))
}

var hexadecimal = regexp.MustCompile(`^(0x)?[0-9a-f]{4,}$`)

func shapeOf(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = shapeOf(x[k])
		}
		return x
	case []any:
		if len(x) == 0 {
			return x
		}
		return []any{shapeOf(x[0])}
	case string:
		switch _, err := time.Parse(time.RFC3339Nano, x); {
		case err == nil:
			return "TIME"
		case hexadecimal.MatchString(x):
			return fmt.Sprintf("HEX%d", len(strings.TrimPrefix(x, "0x")))
		}
		return "TEXT"
	case float64:
		return "NUMBER"
	case bool:
		return "BOOL"
	}
	return v
}
