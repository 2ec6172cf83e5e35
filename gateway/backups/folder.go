// Package backups keeps the last copies of something precious as files in one folder: written whole or not at all,
// readable by their owner alone, the oldest going as new ones come. It must never know what is in them.
package backups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kept is how many files of one kind are kept.
const Kept = 10

// unfinished is the file being written. One left by a kill is replaced by the next Save.
const unfinished = ".unfinished"

// Folder is the place of the files. Nothing is touched before the first call.
type Folder struct {
	dir string
	mu  sync.Mutex // one writer at a time
}

// New gives the folder at dir, which is made when something is saved.
func New(dir string) *Folder { return &Folder{dir: dir} }

// Save writes a new file of a kind and gives its path. When it returns, the file is on disk, and files of the kind
// beyond the newest Kept are gone. The time is part of the name; the order comes from a number, whatever the clock
// does. On error the newest of the older files are still there.
func (f *Folder) Save(kind string, when time.Time, body []byte) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path, err := f.save(kind, when, body)
	if err != nil {
		return "", fmt.Errorf("keep a backup: %w", err)
	}
	return path, nil
}

func (f *Folder) save(kind string, when time.Time, body []byte) (string, error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return "", err
	}
	if err := os.Chmod(f.dir, 0o700); err != nil { // #nosec G302 -- a folder needs its x bit
		return "", err
	}
	old, err := f.list(kind)
	if err != nil {
		return "", err
	}
	next := 1
	if len(old) > 0 {
		next = old[len(old)-1].number + 1
	}
	path := filepath.Join(f.dir, fmt.Sprintf("%s-%06d-%s.json", kind, next, when.UTC().Format("20060102T150405Z")))
	if err := f.write(path, body); err != nil {
		return "", err
	}
	for len(old) >= Kept {
		if err := os.Remove(filepath.Join(f.dir, old[0].name)); err != nil {
			return path, err
		}
		old = old[1:]
	}
	return path, f.sync()
}

func (f *Folder) write(path string, body []byte) error {
	fresh := filepath.Join(f.dir, unfinished)
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return f.sync()
}

// sync brings names to disk.
func (f *Folder) sync() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Newest gives the newest file of a kind; its path is empty when there is none.
func (f *Folder) Newest(kind string) (body []byte, path string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, err := f.list(kind)
	if err == nil && len(list) > 0 {
		path = filepath.Join(f.dir, list[len(list)-1].name)
		body, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the newest backup: %w", err)
	}
	return body, path, nil
}

type kept struct {
	name   string
	number int
}

// list gives the files of a kind, the oldest first. Other files in the folder are left alone.
func (f *Folder) list(kind string) ([]kept, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []kept
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), kind+"-")
		digits, _, dated := strings.Cut(rest, "-")
		number, err := strconv.Atoi(digits)
		if ok && dated && err == nil && strings.HasSuffix(rest, ".json") && e.Type().IsRegular() {
			list = append(list, kept{e.Name(), number})
		}
	}
	slices.SortFunc(list, func(a, b kept) int { return a.number - b.number })
	return list, nil
}
