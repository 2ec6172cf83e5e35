package znp

import (
	"fmt"
	"strings"

	zb "github.com/shimmeringbee/zigbee"
)

// contents is what the stick's memory tells about its network.
type contents struct {
	coordinator zb.IEEEAddress
	onNetwork   bool // the stick itself says that it is commissioned
	nib         nib
	nibValid    bool
	started     bool   // it runs as a coordinator already
	key         []byte // nil: none
}

// network gives the network the stick holds, nil for none. All marks must agree: starting a stick with half of
// them would make it form a new network by itself.
func (c contents) network() *Network {
	if !c.onNetwork || !c.nibValid || c.key == nil {
		return nil
	}
	return &Network{
		Channel: c.nib.channel, PAN: c.nib.pan, ExtendedPAN: c.nib.extendedPAN,
		Coordinator: c.coordinator, KeySum: keySum(c.key),
	}
}

// remains reports whether a stick that holds no whole network holds parts of one.
func (c contents) remains() bool { return c.network() == nil && (c.onNetwork || c.nibValid) }

// Commands a person is told to run.
const (
	hintForm  = "peerbee network form"
	hintAdopt = "peerbee network adopt"
)

// decision is what to do with a stick after looking at it.
type decision struct {
	resume  bool
	problem string // why a person has to decide
	hint    string
}

// decide compares what the stick holds with what the owner expects. Only an exact match is resumed; nothing is
// ever formed, restored or wiped from here.
func decide(c contents, expect *Network) decision {
	held := c.network()
	switch {
	case held == nil && c.remains():
		return decision{problem: "the stick holds an incomplete network" + expectation(expect), hint: hintForm}
	case held == nil:
		return decision{problem: "the stick is blank" + expectation(expect), hint: hintForm}
	case expect == nil:
		return decision{problem: fmt.Sprintf("the stick holds a foreign network (%s)", held), hint: hintAdopt}
	}
	if diff := differences(*held, *expect); len(diff) > 0 {
		return decision{
			problem: "the stick holds another network than expected: " + strings.Join(diff, ", "),
			hint:    hintAdopt,
		}
	}
	return decision{resume: true}
}

func expectation(expect *Network) string {
	if expect == nil {
		return ""
	}
	return fmt.Sprintf(", but the network on %s is expected", expect)
}

// differences names each field that differs with both values. Fields the owner does not know are not compared.
func differences(held, expect Network) []string {
	var diff []string
	add := func(name, format string, held, expect any) {
		diff = append(diff, fmt.Sprintf("%s is "+format+", expected "+format, name, held, expect))
	}
	if held.Channel != expect.Channel {
		add("channel", "%d", held.Channel, expect.Channel)
	}
	if held.PAN != expect.PAN {
		add("PAN", "0x%04x", uint16(held.PAN), uint16(expect.PAN))
	}
	if held.ExtendedPAN != expect.ExtendedPAN {
		add("extended PAN", "%016x", uint64(held.ExtendedPAN), uint64(expect.ExtendedPAN))
	}
	if expect.Coordinator != 0 && held.Coordinator != expect.Coordinator {
		add("coordinator", "%016x", uint64(held.Coordinator), uint64(expect.Coordinator))
	}
	if expect.KeySum != "" && held.KeySum != expect.KeySum {
		add("network key", "with sum %s", held.KeySum, expect.KeySum)
	}
	return diff
}
