package demo

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDemo builds the binary and runs the demo; make demo does the same for people.
func TestDemo(t *testing.T) {
	if os.Getenv("CI") == "" && os.Getenv("PEERBEE_SOAK") == "" {
		t.Skip("takes half a minute: set PEERBEE_SOAK=1, or run make demo")
	}
	exe := filepath.Join(t.TempDir(), "peerbee")
	build := exec.Command("go", "build", "-o", exe, "github.com/peerbee/peerbee/cmd/peerbee")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir, err := os.MkdirTemp("", "pbdemo") // t.TempDir may be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var out bytes.Buffer
	verdict, err := Run(context.Background(), Options{Exe: exe, For: 15 * time.Second, Dir: dir, Out: &out})
	if err != nil || !strings.HasPrefix(verdict, "demo: ok: ") {
		t.Fatalf("%q %v\n%s", verdict, err, out.String())
	}
	t.Log(verdict)
}

// TestDemoFailsAloud runs the demo with a binary that does nothing.
func TestDemoFailsAloud(t *testing.T) {
	exe, err := exec.LookPath("false")
	if err != nil {
		t.Skipf("this machine has no program named false to stand in for a broken one: %v", err)
	}
	var out bytes.Buffer
	verdict, err := Run(t.Context(), Options{Exe: exe, For: time.Second, Out: &out})
	if err == nil || verdict != "" {
		t.Errorf("verdict %q, %v", verdict, err)
	}
}
