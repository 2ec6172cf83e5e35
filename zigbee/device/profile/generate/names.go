package main

import (
	"bufio"
	_ "embed" // the names
	"fmt"
	"strconv"
	"strings"
)

//go:embed names.txt
var namesText string

// cluster is what names.txt says of one.
type cluster struct {
	id         uint16
	attributes map[string]attribute
	commands   map[string]command
}

type attribute struct{ id, manufacturer uint16 }

type command struct {
	id         uint16
	fromClient bool
	params     map[string]param
}

type param struct{ offset, size uint8 }

// readNames reads names.txt: a line a cluster with its number, below it indented lines with the attributes (name,
// number, type, manufacturer's code) and commands (> from the client, < from the server; name, number, parameters
// as name:type; a ? before the type marks one that may be missing).
func readNames() (map[string]*cluster, error) {
	names := map[string]*cluster{}
	var current *cluster
	s := bufio.NewScanner(strings.NewReader(namesText))
	for line := 1; s.Scan(); line++ {
		text := s.Text()
		fields := strings.Fields(text)
		if len(fields) < 2 {
			return nil, fmt.Errorf("names.txt line %d: too few fields", line)
		}
		id, err := strconv.ParseUint(fields[1], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("names.txt line %d: %w", line, err)
		}
		if text[0] != ' ' {
			current = &cluster{id: uint16(id), attributes: map[string]attribute{}, commands: map[string]command{}}
			names[fields[0]] = current
			continue
		}
		if current == nil {
			return nil, fmt.Errorf("names.txt line %d: no cluster above", line)
		}
		if name := fields[0]; name[0] == '>' || name[0] == '<' {
			current.commands[name] = command{uint16(id), name[0] == '>', params(fields[2:])}
			continue
		}
		if len(fields) < 4 {
			return nil, fmt.Errorf("names.txt line %d: an attribute has a type and a manufacturer's code", line)
		}
		code, err := strconv.ParseUint(fields[3], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("names.txt line %d: %w", line, err)
		}
		current.attributes[fields[0]] = attribute{uint16(id), uint16(code)}
	}
	return names, nil
}

// sizes are the bytes of the unsigned types of parameters (ZCL table 2-10).
var sizes = map[string]uint8{"16": 1, "24": 1, "25": 2, "27": 4, "32": 1, "33": 2, "34": 3, "35": 4, "48": 1, "49": 2, "232": 2, "233": 2}

// params places the parameters up to the first one that may be missing, has no fixed size or a sign.
func params(list []string) map[string]param {
	placed := map[string]param{}
	at := uint8(0)
	for _, p := range list {
		name, kind, _ := strings.Cut(p, ":")
		size, ok := sizes[kind]
		if !ok {
			break
		}
		placed[name] = param{at, size}
		at += size
	}
	return placed
}

// commandOf finds a command by the name the facts give it.
func (c *cluster) commandOf(name string) (command, bool) {
	if name == "" {
		return command{}, false
	}
	name = strings.ToLower(name[:1]) + name[1:]
	if found, ok := c.commands[">"+name]; ok {
		return found, true
	}
	found, ok := c.commands["<"+name]
	return found, ok
}
