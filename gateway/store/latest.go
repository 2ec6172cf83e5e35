package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

// maxProperties bounds the latest values kept of one device: a broken one can invent names without end.
const maxProperties = 256

// latestValue is the newest value of one property.
type latestValue struct {
	value reading.Value
	seq   uint64
	t     int64
	desc  int64
	tq    reading.TimeQuality
}

// Latest is a device's newest value of every property it ever reported.
type Latest struct {
	Device string
	Values []LatestValue // sorted by name
}

// LatestValue is one property's newest value and the reading it came with.
type LatestValue struct {
	reading.Value
	Seq   uint64
	Time  time.Time
	Clock reading.TimeQuality
	Desc  string
}

// Reading merges the values into one reading with the newest sequence number, its time and its descriptor.
func (l Latest) Reading(epoch uint64) reading.Reading {
	r := reading.Reading{Stream: l.Device, Epoch: epoch}
	for _, v := range l.Values {
		if v.Seq >= r.Seq {
			r.Seq, r.Time, r.Clock, r.Desc = v.Seq, v.Time, v.Clock, v.Desc
		}
		r.Values = append(r.Values, v.Value)
	}
	return r
}

func (d *deviceState) setLatest(w *row) {
	for i := range w.values {
		v := &w.values[i]
		l := d.latest[v.Name]
		if l == nil {
			if len(d.latest) >= maxProperties {
				continue
			}
			l = &latestValue{}
			d.latest[v.Name] = l
		}
		*l = latestValue{value: *v, seq: w.seq, t: w.t, desc: w.desc, tq: w.tq}
	}
}

// Latest gives the newest values of all devices that are not removed, sorted by key, committed or not.
func (s *Store) Latest(context.Context) ([]Latest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	hashes := s.hashes()
	var all []Latest
	for key, d := range s.devices {
		if d.removed || len(d.latest) == 0 {
			continue
		}
		l := Latest{Device: key, Values: make([]LatestValue, 0, len(d.latest))}
		for _, v := range d.latest {
			l.Values = append(l.Values, LatestValue{Value: v.value, Seq: v.seq, Time: time.UnixMilli(v.t), Clock: v.tq, Desc: hashes[v.desc]})
		}
		slices.SortFunc(l.Values, func(a, b LatestValue) int { return cmp.Compare(a.Name, b.Name) })
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Latest) int { return cmp.Compare(a.Device, b.Device) })
	return all, nil
}

// hashes reverses descs. The caller holds mu.
func (s *Store) hashes() map[int64]string {
	m := make(map[int64]string, len(s.descs))
	for hash, id := range s.descs {
		m[id] = hash
	}
	return m
}

func (s *Store) loadLatest(ctx context.Context) error {
	type entry struct {
		device int64
		name   string
		latestValue
	}
	rows, err := s.w.QueryContext(ctx, "SELECT device, property, seq, t, tq, descr, value FROM latest")
	all, err := collect(rows, err, func(scan func(...any) error) (entry, error) {
		var e entry
		var text string
		if err := scan(&e.device, &e.name, &e.seq, &e.t, &e.tq, &e.desc, &text); err != nil {
			return e, err
		}
		v, err := reading.ParseValueJSON(text)
		if err != nil {
			return e, &CorruptError{Path: s.opt.Path, Detail: "latest: " + err.Error()}
		}
		v.Name = e.name
		e.value = v
		return e, nil
	})
	if err != nil {
		return fmt.Errorf("reading the latest values: %w", err)
	}
	byID := make(map[int64]*deviceState, len(s.devices))
	for _, d := range s.devices {
		byID[d.id] = d
	}
	for _, e := range all {
		if d := byID[e.device]; d != nil {
			d.latest[e.name] = &e.latestValue
		}
	}
	return nil
}
