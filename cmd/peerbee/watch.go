package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
	"github.com/peerbee/peerbee/gateway/reading"
)

// Layouts of the first column: a live reading is of today, a stored one of any day.
const (
	liveTime   = "15:04:05.000"
	storedTime = "2006-01-02 15:04:05"
)

func (a *app) watchCommand() *cobra.Command {
	var raw bool
	var count int
	cmd := &cobra.Command{
		Use:     "watch [DEVICE...]",
		Short:   "Show this gateway's readings as they arrive",
		Example: "  peerbee watch\n  peerbee watch kitchen\n  peerbee watch -o jsonl | jq .reading",

		ValidArgsFunction: a.completeDevices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				query := url.Values{"device": args, "kinds": {"reading,left,state,lost"}}
				a.readingHeader(liveTime)
				n := 0
				err := c.Stream(ctx, "/v1/watch?"+query.Encode(), func(line json.RawMessage) error {
					var e api.Event
					if err := json.Unmarshal(line, &e); err != nil {
						return fmt.Errorf("daemon's event: %w", err)
					}
					if err := a.showEvent(e, raw); err != nil {
						return err
					}
					if e.Reading != nil {
						n++
					}
					if n > 0 && n == count {
						return errEnough
					}
					return nil
				})
				if errors.Is(err, errEnough) {
					return nil
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "show raw attributes too")
	cmd.Flags().IntVar(&count, "count", 0, "stop after this many readings (0: never)")
	return cmd
}

// The live table has fixed columns: a tabwriter would hold lines back.
const readingLine = "%-*s  %-16s  %-6s  %s\n"

func (a *app) readingHeader(layout string) {
	if a.format == formatTable {
		fmt.Fprintf(a.out, readingLine, len(layout), "TIME", "DEVICE", "SEQ", "VALUES")
	}
}

func (a *app) showEvent(e api.Event, raw bool) error {
	if a.format != formatTable {
		if e.Kind == "hello" {
			return nil
		}
		return json.NewEncoder(a.out).Encode(e)
	}
	switch {
	case e.Reading != nil:
		a.readingRow(*e.Reading, liveTime, raw)
	case e.Kind == "left":
		fmt.Fprintf(a.err, "%s left the network\n", e.Device.Name)
	case e.Kind == "lost":
		fmt.Fprintf(a.err, "%d events were dropped: this terminal was too slow\n", e.Count)
	case e.State != nil && e.State.Problem != "":
		fmt.Fprintf(a.err, "stick: %s\n", e.State.Problem)
	case e.State != nil:
		fmt.Fprintf(a.err, "stick: %s\n", e.State.Phase)
	}
	return nil
}

// readingRow prints a reading on one line. A device that is not known yet has raw attributes only: its line says
// how to see them.
func (a *app) readingRow(r api.Reading, layout string, raw bool) {
	values := make([]reading.Value, len(r.Values))
	units := make(map[string]string, len(r.Values))
	for i, v := range r.Values {
		values[i], units[v.Name] = reading.Value{Name: v.Name, Value: v.Value}, v.Unit
	}
	text := reading.Summary(values, units, raw)
	if text == "" {
		text = "raw attributes only: --raw shows them"
	}
	fmt.Fprintf(a.out, readingLine, len(layout), r.Time.Local().Format(layout), r.Name, fmt.Sprintf("#%d", r.Seq), text)
}

func (a *app) historyCommand() *cobra.Command {
	var since, until string
	var property string
	var limit int
	cmd := &cobra.Command{
		Use:     "history DEVICE",
		Short:   "Print a device's stored readings",
		Example: "  peerbee history kitchen --since 24h\n  peerbee history kitchen --since 7d -o csv > kitchen.csv\n  peerbee history kitchen --since 2026-11-01 --property temperature",
		Args:    oneArg("a device's name or address", "peerbee history kitchen --since 24h"),

		Annotations:       map[string]string{formatsOf: strings.Join([]string{formatTable, formatJSON, formatJSONL, formatCSV}, ",")},
		ValidArgsFunction: a.completeDevice,
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if property != "" {
				query.Set("property", property)
			}
			for key, text := range map[string]string{"since": since, "until": until} {
				t, err := parseTime(text, time.Now())
				if err != nil {
					return usageError{fmt.Sprintf("--%s: %v", key, err), "for example: --" + key + " 24h, 7d, 2026-11-01 or 2026-11-01T08:00:00Z"}
				}
				if !t.IsZero() {
					query.Set(key, t.UTC().Format(time.RFC3339Nano))
				}
			}
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				return a.history(ctx, c, "/v1/devices/"+url.PathEscape(args[0])+"/history?"+query.Encode())
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "24h", "from when: a span back from now, a date or a time")
	cmd.Flags().StringVar(&until, "until", "", "until when (default now)")
	cmd.Flags().StringVar(&property, "property", "", "only this property")
	cmd.Flags().IntVar(&limit, "limit", 0, "only the newest so many readings (0: all)")
	return cmd
}

func (a *app) history(ctx context.Context, c *client.Client, path string) error {
	var list []api.Reading
	table := csv.NewWriter(a.out)
	begin := map[string]func() error{
		formatCSV: func() error {
			return table.Write([]string{"time", "device", "name", "seq", "property", "value", "unit"})
		},
		formatTable: func() error { a.readingHeader(storedTime); return nil },
	}
	if f := begin[a.format]; f != nil {
		if err := f(); err != nil {
			return err
		}
	}
	err := c.Stream(ctx, path, func(line json.RawMessage) error {
		if a.format == formatJSONL {
			_, err := a.out.Write(append(line, '\n'))
			return err
		}
		var r api.Reading
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("daemon's reading: %w", err)
		}
		switch a.format {
		case formatJSON:
			list = append(list, r)
		case formatCSV:
			return csvRows(table, r)
		default:
			a.readingRow(r, storedTime, true)
		}
		return nil
	})
	if err != nil {
		return err
	}
	table.Flush()
	if a.format == formatJSON {
		return printList(a, list, func(io.Writer) {})
	}
	return table.Error()
}

func csvRows(w *csv.Writer, r api.Reading) error {
	for _, v := range r.Values {
		value := ""
		if v.Value != nil {
			value = fmt.Sprint(v.Value)
		}
		if err := w.Write([]string{r.Time.UTC().Format(time.RFC3339Nano), r.Device, r.Name, strconv.FormatUint(r.Seq, 10), v.Name, value, v.Unit}); err != nil {
			return err
		}
	}
	return nil
}

// parseTime reads a span back from now ("24h", "7d"), a date or an RFC 3339 time. Empty gives the zero time.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a span, a date nor a time", text)
}
