package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

const crashEnv = "PEERBEE_STORE_CRASH_CHILD"

// crashChild is the process that gets killed. It tells on standard output what it was given and promised:
// "N device seq" before a number is used, "D device seq" after a commit, "A line" after an audit line.
func crashChild() bool {
	path := os.Getenv(crashEnv)
	if path == "" {
		return false
	}
	ctx := context.Background()
	say := func(format string, args ...any) {
		if _, err := fmt.Fprintf(os.Stdout, format, args...); err != nil {
			panic(err)
		}
	}
	s, err := Open(ctx, Options{Path: path, BatchRows: 20, OnCommit: func(m map[string]uint64) {
		for k, v := range m {
			say("D %s %d\n", k, v)
		}
	}})
	if err != nil {
		say("E %v\n", err)
		return true
	}
	for i := 0; ; i++ {
		key := dev1
		if i%3 == 0 {
			key = dev2
		}
		seq, err := s.Next(ctx, key)
		if err != nil {
			say("E %v\n", err)
			return true
		}
		say("N %s %d\n", key, seq)
		r := reading.Reading{Stream: key, Seq: seq, Time: start, Values: []reading.Value{{Name: "n", Value: int64(seq)}}}
		if err := s.AddReading(&r); err != nil {
			say("E %v\n", err)
			return true
		}
		if i%50 == 49 {
			if err := s.Flush(ctx); err != nil {
				say("E %v\n", err)
				return true
			}
		}
		if i%200 == 199 {
			if err := s.Audit(ctx, AuditEntry{Action: "test"}); err != nil {
				say("E %v\n", err)
				return true
			}
			say("A %d\n", i)
		}
	}
}

// life runs the child for a while, kills it and gives what it said.
func life(t *testing.T, path string, d time.Duration) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	first, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("the child said nothing: %v", err)
	}
	kill := time.AfterFunc(d, func() { _ = cmd.Process.Kill() }) // gone already: then Wait tells
	rest, err := io.ReadAll(r)
	kill.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("the child ended by itself: %v: %s", err, rest)
	}
	lines := strings.Split(first+string(rest), "\n")
	return lines[:len(lines)-1] // the last one may be cut
}

func TestKill(t *testing.T) {
	lives := 6
	if n, err := strconv.Atoi(os.Getenv("PEERBEE_KILLS")); err == nil {
		lives = n
	}
	path := filepath.Join(t.TempDir(), "peerbee.db")
	s := open(t, Options{Path: path})
	put(t, s, dev1, dev2)
	shut(t, s)
	handed, durable, first := map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
	audits, total := 0, 0
	for range lives {
		clear(first)
		for _, line := range life(t, path, time.Duration(rand.IntN(250))*time.Millisecond) {
			var kind, key string
			var seq uint64
			if strings.HasPrefix(line, "A ") {
				audits++
				continue
			}
			if _, err := fmt.Sscan(line, &kind, &key, &seq); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			switch kind {
			case "N":
				if seq <= handed[key] {
					t.Fatalf("%s: %d after %d", key, seq, handed[key])
				}
				handed[key] = seq
				if first[key] == 0 {
					first[key] = seq
				}
			case "D":
				durable[key] = max(durable[key], seq)
			default:
				t.Fatal(line)
			}
		}
		total += checkAfterKill(t, path, handed, durable, first, audits)
	}
	t.Logf("%d kills, %d acknowledged readings, %d audit lines", lives, total, audits)
}

func checkAfterKill(t *testing.T, path string, handed, durable, first map[string]uint64, audits int) (total int) {
	t.Helper()
	s := open(t, Options{Path: path})
	defer shut(t, s)
	gaps := map[string]Gap{}
	for _, g := range s.Lost() {
		gaps[g.Device] = g
	}
	for key, from := range first {
		next := from
		for _, r := range sinceAll(t, s, key, from-1) {
			if r.Seq != next || len(r.Values) != 1 || r.Values[0].Value != int64(r.Seq) {
				t.Fatalf("%s: got %v, want number %d", key, r, next)
			}
			next++
			total++
		}
		if next <= durable[key] {
			t.Fatalf("%s: stored up to %d, acknowledged up to %d", key, next-1, durable[key])
		}
		// With nothing stored in this life the gap begins where an earlier one has ended.
		g := gaps[key]
		if g.From > next || (g.From < next && next > from) || g.To < handed[key] {
			t.Fatalf("%s: the gap is %+v, stored up to %d, handed out up to %d", key, g, next-1, handed[key])
		}
		seq, err := s.Next(t.Context(), key)
		if err != nil || seq <= handed[key] || seq <= gaps[key].To {
			t.Fatalf("%s: next is %d, %v; %d was handed out", key, seq, err, handed[key])
		}
		handed[key] = seq
	}
	log, err := s.AuditLog(t.Context(), 1_000_000)
	if err != nil || len(log) < audits {
		t.Fatalf("%d audit lines, %v; %d were acknowledged", len(log), err, audits)
	}
	return total
}
