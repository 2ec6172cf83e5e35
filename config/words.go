package config

import (
	"errors"
	"io/fs"
	"reflect"
	"sort"
	"strings"
)

// fileCause ties a FileError to the error of the operating system below it.
type fileCause struct {
	*FileError
	cause error
}

func (e fileCause) Unwrap() []error { return []error{e.FileError, e.cause} }

func (e FileError) wrap(cause error) error { return fileCause{FileError: &e, cause: cause} }

// plain drops the operation and path that *fs.PathError repeats.
func plain(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func tidy(s string) string { return strings.TrimPrefix(s, "toml: ") }

func dotted(key []string) string { return strings.Join(key, ".") }

// didYouMean names the nearest known key, for typing errors.
func didYouMean(key string) string {
	best, distance := "", 4
	for _, k := range Keys() {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "? peerbee config show lists every key"
	}
	return "peerbee config show lists every key"
}

// Keys lists every key a file may hold, dotted and sorted.
func Keys() []string {
	var keys []string
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		section := t.Field(i)
		for j := range section.Type.NumField() {
			keys = append(keys, section.Tag.Get("toml")+"."+section.Type.Field(j).Tag.Get("toml"))
		}
	}
	sort.Strings(keys)
	return keys
}

// editDistance is Levenshtein's, in one row.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next := min(row[j]+1, row[j-1]+1, diagonal+cost)
			diagonal, row[j] = row[j], next
		}
	}
	return row[len(b)]
}
