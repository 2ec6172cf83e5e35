package backup

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// reader walks a decoded document and keeps the first problem it meets. After one, all further values are zero.
type reader struct{ err error }

func (r *reader) fail(path, format string, args ...any) {
	if r.err == nil {
		r.err = &FieldError{Field: path, Problem: fmt.Sprintf(format, args...)}
	}
}

// node is one value of the document with its place.
type node struct {
	r     *reader
	path  string
	value any // nil: absent, or null
}

// kind names the type of a JSON value for people.
func (n node) kind() string {
	switch n.value.(type) {
	case nil:
		return "nothing"
	case bool:
		return "true or false"
	case string:
		return "text"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func (n node) wrong(want string) {
	if n.value == nil {
		n.r.fail(n.path, "is missing (expected %s)", want)
		return
	}
	n.r.fail(n.path, "is %s, expected %s", n.kind(), want)
}

// field gives a member of an object.
func (n node) field(name string) node {
	path := name
	if n.path != "" {
		path = n.path + "." + name
	}
	object, ok := n.value.(map[string]any)
	if !ok {
		n.wrong("an object")
	}
	return node{n.r, path, object[name]}
}

// optional gives a member of an object that may be absent together with the object.
func (n node) optional(name string) node {
	if n.value == nil {
		return node{n.r, n.path + "." + name, nil}
	}
	return n.field(name)
}

func (n node) list() []node {
	list, ok := n.value.([]any)
	if !ok {
		n.wrong("a list")
	}
	nodes := make([]node, len(list))
	for i, v := range list {
		nodes[i] = node{n.r, fmt.Sprintf("%s[%d]", n.path, i), v}
	}
	return nodes
}

// number gives a whole number from low to high.
func (n node) number(low, high uint64) uint64 {
	number, ok := n.value.(json.Number)
	if !ok {
		n.wrong("a number")
		return 0
	}
	v, err := strconv.ParseUint(number.String(), 10, 64)
	if err != nil || v < low || v > high {
		n.r.fail(n.path, "is %s, expected a whole number from %d to %d", clip(number.String()), low, high)
		return 0
	}
	return v
}

// flag gives true or false, nil when absent.
func (n node) flag() *bool {
	if n.value == nil {
		return nil
	}
	v, ok := n.value.(bool)
	if !ok {
		n.wrong("true or false")
	}
	return &v
}

// id gives a number written in hex, big endian. Leading zeros may be missing: some programs leave them out.
func (n node) id(size int) uint64 {
	want := fmt.Sprintf("%d hex digits", 2*size)
	text, ok := n.value.(string)
	if !ok {
		n.wrong(want)
		return 0
	}
	v, err := strconv.ParseUint(text, 16, 8*size)
	if err != nil || len(text) > 2*size || strings.HasPrefix(text, "+") {
		n.r.fail(n.path, "is %q, expected %s", clip(text), want)
		return 0
	}
	return v
}

// key gives a key. What stands there is never repeated in the problem: it may be most of a key.
func (n node) key() Key {
	const want = "32 hex digits"
	text, ok := n.value.(string)
	if !ok {
		n.wrong(want)
		return Key{}
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(Key{}) {
		n.r.fail(n.path, "is not a key, expected %s", want)
		return Key{}
	}
	return Key(b)
}

// optionalKey gives nil for an absent key.
func (n node) optionalKey() *Key {
	if n.value == nil {
		return nil
	}
	key := n.key()
	return &key
}

// clip bounds what a problem repeats of the document.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
