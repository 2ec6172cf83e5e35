package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// row is one line of the table.
type row int

const (
	rowP50 row = iota
	rowP99
	rowRate
	rowRateMemory
	rowCPU
	rowStart
	rowIdle
	rowPair
	rowReset
	rowGone
	rowStray
	rowGarbage
	rowDrops
	rowCount
)

// rows say what each line is, what was measured elsewhere for zigbee2mqtt 2.14.1 with mosquitto, and the bar.
var rows = [rowCount]struct {
	what, before, bar string
	more              bool // more is better
}{
	rowP50:        {what: "serial byte to subscriber's callback, 200/s, p50", before: "0.76 ms", bar: "<= 0.5 ms"},
	rowP99:        {what: "the same, p99", before: "1.47 ms", bar: "<= 1.4 ms"},
	rowRate:       {what: "sustained reports/s, nothing lost", before: "7,000", bar: ">= 14,000", more: true},
	rowRateMemory: {what: "resident after that"},
	rowCPU:        {what: "CPU per 10,000 reports at 200/s", before: "7.5 + 0.7 s", bar: "<= 1 s"},
	rowStart:      {what: "start to stick resumed and serving", before: "0.6 s", bar: "<= 0.15 s"},
	rowIdle:       {what: "resident, idle, 50 sensors", before: "113 + 10 MB", bar: "<= 40 MB"},
	rowPair:       {what: "pair, interview, configure 50 sensors in turn", before: "11.5 s", bar: "<= 6 s"},
	rowReset:      {what: "stick reset by itself: until reports", before: "silent", bar: "<= 2 s"},
	rowGone:       {what: "port gone and back: until reports", before: "62 s or exits", bar: "<= 2 s"},
	rowStray:      {what: "one stray FE byte", before: "8 lost", bar: "<= 1 lost"},
	rowGarbage:    {what: "16 garbage bytes before every fifth frame, 1,000 reports", before: "44 lost", bar: "0 lost"},
	rowDrops:      {what: "0.1 % of bytes dropped, 1,000 reports", before: "63 to 71 lost", bar: "<= 2 not hit"},
}

// printTable writes what was measured; theirs may be nil.
func printTable(w io.Writer, ours, theirs map[row]cell) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tzigbee2mqtt, elsewhere\tzigbee2mqtt, here\tpeerbee\tbetter by\tbar")
	for i, r := range rows {
		us, them := ours[row(i)], theirs[row(i)]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, dash(r.before), dash(them.text), dash(us.text), ratio(us, them, r.more), dash(r.bar))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

func ratio(us, them cell, more bool) string {
	if us.value <= 0 || them.value <= 0 {
		return "-"
	}
	if more {
		return fmt.Sprintf("%.1fx", us.value/them.value)
	}
	return fmt.Sprintf("%.1fx", them.value/us.value)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
