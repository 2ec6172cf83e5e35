package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

// Formats of -o. table is for people and may change; json and jsonl are stable.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatJSONL = "jsonl"
	formatCSV   = "csv"
)

// checkFormat refuses a format the command does not have.
func (a *app) checkFormat(allowed ...string) error {
	for _, f := range allowed {
		if a.format == f {
			return nil
		}
	}
	return usageError{text: fmt.Sprintf("no output format %q here", a.format), hint: "use -o " + strings.Join(allowed, ", -o ")}
}

// print writes v as JSON, or calls table for people.
func (a *app) print(v any, table func(w io.Writer)) error {
	switch a.format {
	case formatJSON:
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case formatJSONL:
		return json.NewEncoder(a.out).Encode(v)
	case formatTable:
		w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
		table(w)
		return w.Flush()
	}
	return a.checkFormat(formatTable, formatJSON, formatJSONL)
}

// printList is print for a list: jsonl gives one line an element.
func printList[T any](a *app, list []T, table func(w io.Writer)) error {
	if a.format == formatJSONL {
		enc := json.NewEncoder(a.out)
		for _, v := range list {
			if err := enc.Encode(v); err != nil {
				return err
			}
		}
		return nil
	}
	if list == nil {
		list = []T{}
	}
	return a.print(list, table)
}

func row(w io.Writer, cells ...string) {
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

// orDash keeps empty cells visible in a table.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// ago says how long ago t was, in the largest fitting unit.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := time.Since(t)
	switch {
	case d < 2*time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

// shown writes a value with its unit as people read it.
func shown(value any, unit string) string {
	return reading.FormatValue(reading.Value{Value: value}, unit)
}

// short keeps an identifier's beginning, for tables.
func short(id string) string {
	if len(id) > 12 {
		id = strings.TrimRight(id[:12], "-")
	}
	return orDash(id)
}

// counted is "1 sensor", "2 sensors".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
