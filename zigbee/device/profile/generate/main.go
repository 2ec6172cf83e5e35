// Command generate makes the table of device profiles from a file of device facts: identifiers, numbers and
// mappings, one entry a model. It is run by a maintainer when the facts change; what it writes is committed.
//
//	go run ./zigbee/device/profile/generate -facts ../shared/devices/facts.json.gz
//
// The numbers behind the facts' names stand in names.txt and the curves of batteries in batteries.txt; names.mjs
// and batteries.mjs renew them. What cannot be said
// exactly is left out and counted: it must never know how to guess.
package main

import (
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

func main() {
	facts := flag.String("facts", "", "the device facts, `file`.json.gz")
	out := flag.String("out", "zigbee/device/profile/table.bin", "the table to write")
	flag.Parse()
	if err := run(*facts, *out, os.Stdout); err != nil {
		log.SetFlags(0)
		log.Fatal("generate: ", err)
	}
}

func run(from, to string, report io.Writer) error {
	list, err := readFacts(from)
	if err != nil {
		return err
	}
	names, err := readNames()
	if err != nil {
		return err
	}
	batteries, err := readBatteries()
	if err != nil {
		return err
	}
	c := &converter{names: names, batteries: batteries, left: map[string]int{}, units: map[string]bool{}}
	definitions := make([]profile.Definition, 0, len(list))
	for i := range list {
		definitions = append(definitions, c.definition(&list[i]))
	}
	if unknown := sortedKeys(c.units); len(unknown) > 0 {
		return fmt.Errorf("no UCUM code for the units %q: add them to units.go", unknown)
	}
	c.dropShared(definitions)
	table, err := profile.Build(definitions)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, table, 0o600); err != nil {
		return err
	}
	c.print(report, definitions, len(table))
	return nil
}

// dropShared takes away the names that two models have once they are clean: which of them it is cannot be told.
func (c *converter) dropShared(definitions []profile.Definition) {
	owners := map[string]map[int]bool{}
	for i := range definitions {
		for _, condition := range definitions[i].Conditions {
			if !condition.Plain {
				continue
			}
			if owners[condition.Model] == nil {
				owners[condition.Model] = map[int]bool{}
			}
			owners[condition.Model][i] = true
		}
	}
	for i := range definitions {
		d := &definitions[i]
		d.Conditions = slices.DeleteFunc(d.Conditions, func(condition profile.Condition) bool {
			shared := condition.Plain && len(owners[condition.Model]) > 1
			if shared {
				c.shared = append(c.shared, condition.Model)
			}
			return shared
		})
	}
}

func readFacts(name string) ([]facts, error) {
	f, err := os.Open(name) //nolint:gosec // the maintainer names the file
	if err != nil {
		return nil, fmt.Errorf("%w; name the facts with -facts", err)
	}
	defer f.Close() //nolint:errcheck // read only
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var list []facts
	if err := json.NewDecoder(unzipped).Decode(&list); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return list, nil
}

// print says what the table holds and what was left out.
func (c *converter) print(w io.Writer, definitions []profile.Definition, size int) {
	rules, properties, complete := 0, 0, 0
	for i := range definitions {
		p := &definitions[i].Profile
		properties += len(p.Properties)
		for j := range p.Properties {
			rules += len(p.Properties[j].Rules)
		}
		if p.Complete {
			complete++
		}
	}
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	say("%d profiles, %d of them complete, %d properties, %d rules, %d bytes", len(definitions), complete, properties, rules, size)
	say("names of several models, left out: %q", c.shared)
	say("rules left out:")
	for _, why := range sortedKeys(c.left) {
		say("%7d %s", c.left[why], why)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
