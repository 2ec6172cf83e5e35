package peerbee_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/peerbee/peerbee/"

// topFolders is the whole list: a new one is a decision for docs/adr, not an accident.
var topFolders = []string{
	"blockchain", "cmd", "config", "docs", "gateway", "interop", "p2p", "packaging", "systemd", "zigbee",
}

// mayImport tells, for each top folder, which of our packages its non-test code may import besides its own.
var mayImport = map[string][]string{
	"zigbee":     {},
	"p2p":        {},
	"blockchain": {},
	"config":     {},
	"systemd":    {},
	"gateway":    {"zigbee", "p2p", "blockchain", "config", "systemd"},
	"cmd":        {"gateway", "config", "blockchain", "zigbee/sim"},
	"docs":       {"gateway"},
	"packaging":  {"gateway", "cmd"},
	"interop":    {"gateway", "config", "zigbee", "p2p", "blockchain", "cmd"},
}

// goFiles calls visit for every Go file of the repository with its slash path.
func goFiles(t *testing.T, visit func(name string, file *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(name), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func allowed(from, imported string) bool {
	top, _, _ := strings.Cut(imported, "/")
	if top == from {
		return true
	}
	return slices.ContainsFunc(mayImport[from], func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

func TestLayers(t *testing.T) {
	goFiles(t, func(name string, file *ast.File) {
		from, _, inFolder := strings.Cut(name, "/")
		if !inFolder {
			return
		}
		for _, spec := range file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours, isOurs := strings.CutPrefix(p, module)
			if isOurs && !allowed(from, ours) {
				t.Errorf("%s imports %s: %s may import %v only", name, ours, from, mayImport[from])
			}
			if isOurs && strings.HasPrefix(name, "zigbee/") && path.Dir(name) != "zigbee" && ours == "zigbee" && !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s imports its parent zigbee", name)
			}
			if p == "github.com/shimmeringbee/zigbee" && (spec.Name == nil || spec.Name.Name != "zb") {
				t.Errorf("%s imports %s without the name zb", name, p)
			}
		}
	})
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string][]string{}
	goFiles(t, func(name string, file *ast.File) {
		if strings.HasSuffix(name, "_test.go") || !strings.Contains(name, "/") {
			return
		}
		dir := path.Dir(name)
		comments[dir] = append(comments[dir], file.Doc.Text())
	})
	for dir, docs := range comments {
		n := 0
		for _, d := range docs {
			if d != "" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("package %s has %d package comments, want one that says what it is for", dir, n)
		}
	}
}

func TestFoldersAndNames(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(append(topFolders, "bin", "dist"), e.Name()) {
			t.Errorf("unexpected top folder %s", e.Name())
		}
	}
	forbidden := []string{"util", "utils", "common", "types", "pkg", "helpers", "misc", "shared"}
	goFiles(t, func(name string, _ *ast.File) {
		for _, part := range strings.Split(path.Dir(name), "/") {
			if slices.Contains(forbidden, part) {
				t.Errorf("%s: a folder named %s says nothing of what is in it", name, part)
			}
		}
	})
}
