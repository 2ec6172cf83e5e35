package znp

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// nvRanges are the items of the legacy NV memory that belong to Z-Stack, without the numbered tables (ZComDef.h).
var nvRanges = []struct{ first, last uint16 }{{0x0001, 0x00A1}, {0x0101, 0x0110}, {0x0F00, 0x0F07}}

// nvTables are the tables of the extended NV memory with the names that dumps of such memories use.
var nvTables = map[uint16]string{
	tableAddresses: "ADDRMGR", 2: "BINDING_TABLE", 3: "DEVICE_LIST", tableTCLK: "TCLK_TABLE", 5: "TCLK_IC_TABLE",
	tableAPSKeys: "APS_KEY_DATA_TABLE", tableNwkCounters: "NWK_SEC_MATERIAL_TABLE",
}

// unreadable are the certificates, which no firmware gives away.
func unreadable(item uint16) bool { return item >= 0x0069 && item <= 0x006B }

// memory holds items as hex by their name, in sections.
type memory map[string]map[string]string

func (d memory) add(section string, item uint16, value []byte) {
	if d[section] == nil {
		d[section] = make(map[string]string)
	}
	d[section][fmt.Sprintf("0x%04X", item)] = hex.EncodeToString(value)
}

// Snapshot copies the stick's NV memory, keys included, as it is before a step that could destroy what it holds. It
// writes nothing. The result is a JSON object of sections, LEGACY and one for each table, each an object of item
// number to bytes in hex. It is nil for a stick that holds no network and no part of one.
func (h *Host) Snapshot(ctx context.Context) ([]byte, error) {
	var text []byte
	err := h.borrow(ctx, func(ctx context.Context, l *link, _ State) error {
		found, err := l.survey(ctx)
		if err != nil || !found.onNetwork && !found.nibValid && found.key == nil {
			return err
		}
		d, err := l.dump(ctx)
		if err != nil {
			return err
		}
		text, err = json.MarshalIndent(d, "", "  ")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("copy the stick's memory: %w", err)
	}
	return text, nil
}

func (l *link) dump(ctx context.Context) (memory, error) {
	const legacy = "LEGACY"
	d := memory{}
	for _, r := range nvRanges {
		for item := r.first; item <= r.last; item++ {
			if unreadable(item) {
				continue
			}
			value, err := l.nvItem(ctx, item)
			var refused *StatusError
			if errors.As(err, &refused) {
				l.log.Warn("an item of the stick's memory is left out of the copy", "item", item, "status", refused.Status.String())
				continue
			}
			if err != nil {
				return nil, err
			}
			if value != nil {
				d.add(legacy, item, value)
			}
		}
	}
	for _, s := range []struct {
		start uint16
		n     int
	}{{nvTCLKStart, legacyTCLKItems}, {nvAPSKeysStart, legacyAPSKeyItems}} {
		rows, err := l.nvSeries(ctx, s.start, s.n)
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			d.add(legacy, s.start+uint16(i), row)
		}
	}
	return d, l.dumpTables(ctx, d)
}

func (l *link) dumpTables(ctx context.Context, d memory) error {
	extended, err := l.hasTables(ctx)
	if err != nil || !extended {
		return err
	}
	for table, name := range nvTables {
		rows, err := l.nvTable(ctx, table)
		if err != nil {
			return err
		}
		for i, row := range rows {
			d.add(name, uint16(i), row)
		}
	}
	return nil
}
