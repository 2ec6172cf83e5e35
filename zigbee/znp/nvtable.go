package znp

import (
	"context"
	"errors"
	"fmt"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// Tables of the extended NV memory, one row an item (Z-Stack 3.x.0).
const (
	nvSystem           uint8  = 1 // Z-Stack
	tableAddresses     uint16 = 1
	tableTCLK          uint16 = 4
	tableAPSKeys       uint16 = 6
	tableNwkCounters   uint16 = 7
	maxTableRows              = 2048 // more than any stick holds
	nvCountersStart    uint16 = 0x0075
	nvTCLKStart        uint16 = 0x0111
	nvAPSKeysStart     uint16 = 0x0201
	legacyCounterItems        = 12
	legacyTCLKItems           = 239
	legacyAPSKeyItems         = 255
)

// nvItem gives a whole item of any length, nil when it does not exist. Unlike nvRead it tells an item that cannot
// be read from one that is not there.
func (l *link) nvItem(ctx context.Context, item uint16) ([]byte, error) {
	var length mt.NVLengthRsp
	if err := l.query(ctx, &mt.NVLength{Item: item}, &length); err != nil {
		return nil, fmt.Errorf("read NV item 0x%04x: %w", item, err)
	}
	value := make([]byte, 0, length.Length)
	for len(value) < int(length.Length) {
		if err := l.undisturbed(); err != nil {
			return nil, err
		}
		var rsp mt.NVReadExtRsp
		if err := l.query(ctx, &mt.NVReadExt{Item: item, Offset: uint16(len(value))}, &rsp); err != nil {
			return nil, fmt.Errorf("read NV item 0x%04x: %w", item, err)
		}
		if err := statusErr(fmt.Sprintf("read NV item 0x%04x", item), rsp.Status); err != nil {
			return nil, err
		}
		if len(rsp.Value) == 0 {
			return nil, fmt.Errorf("read NV item 0x%04x: only %d of %d bytes can be read", item, len(value), length.Length)
		}
		value = append(value, rsp.Value...)
	}
	if length.Length == 0 {
		return nil, nil
	}
	return value[:length.Length], nil
}

// undisturbed gives the reason to stop a long reading: the stick restarted, or stopped being a coordinator.
func (l *link) undisturbed() error {
	if len(l.reset) > 0 {
		return errReset
	}
	return nil
}

// nvSeries gives the items of a numbered range up to the first that does not exist.
func (l *link) nvSeries(ctx context.Context, start uint16, n int) ([][]byte, error) {
	var rows [][]byte
	for i := range n {
		row, err := l.nvItem(ctx, start+uint16(i))
		if err != nil {
			return nil, err
		}
		if row == nil {
			break
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// hasTables tells whether the firmware keeps its devices in the extended NV memory (3.x.0 from build 2019 on).
func (l *link) hasTables(ctx context.Context) (bool, error) {
	length, err := l.rowLength(ctx, tableTCLK, 0)
	if errors.Is(err, ErrUnsupported) {
		return false, nil
	}
	return length > 0, err
}

// rowLength gives 0 for a row that does not exist.
func (l *link) rowLength(ctx context.Context, table, row uint16) (uint32, error) {
	var rsp mt.ExtNVLengthRsp
	if err := l.query(ctx, &mt.ExtNVLength{System: nvSystem, Item: table, Sub: row}, &rsp); err != nil {
		return 0, fmt.Errorf("read NV table %d: %w", table, err)
	}
	return rsp.Length, nil
}

// nvTable gives all rows of a table of the extended NV memory. Its rows have one length and no holes.
func (l *link) nvTable(ctx context.Context, table uint16) ([][]byte, error) {
	length, err := l.rowLength(ctx, table, 0)
	if err != nil || length == 0 {
		return nil, err
	}
	if length > 240 {
		return nil, fmt.Errorf("read NV table %d: rows of %d bytes", table, length)
	}
	var rows [][]byte
	for row := range uint16(maxTableRows) {
		if err := l.undisturbed(); err != nil {
			return nil, err
		}
		var rsp mt.ExtNVReadRsp
		req := mt.ExtNVRead{System: nvSystem, Item: table, Sub: row, Length: uint8(length)}
		if err := l.query(ctx, &req, &rsp); err != nil {
			return nil, fmt.Errorf("read NV table %d: %w", table, err)
		}
		if rsp.Status != mt.Success || len(rsp.Value) != int(length) {
			left, err := l.rowLength(ctx, table, row)
			if err == nil && left > 0 { // a row that is there but cannot be read must not end the table
				err = fmt.Errorf("read NV table %d: row %d: %s, %d bytes", table, row, rsp.Status, len(rsp.Value))
			}
			return rows, err
		}
		rows = append(rows, rsp.Value)
	}
	return nil, fmt.Errorf("read NV table %d: it has no end", table)
}

// deviceTables is what the stick's memory holds of devices and keys, as stored.
type deviceTables struct {
	packed                             bool
	addresses, tclk, apsKeys, counters [][]byte
	apsIndex                           []byte // which device has which row of apsKeys
}

func (l *link) deviceTables(ctx context.Context) (deviceTables, error) {
	t := deviceTables{packed: l.firmware().layout == packed}
	extended, err := l.hasTables(ctx)
	if err != nil {
		return t, err
	}
	if t.apsIndex, err = l.nvItem(ctx, nvAPSLinkKeys); err != nil {
		return t, err
	}
	if extended {
		for table, rows := range map[uint16]*[][]byte{
			tableAddresses: &t.addresses, tableTCLK: &t.tclk, tableAPSKeys: &t.apsKeys, tableNwkCounters: &t.counters,
		} {
			if *rows, err = l.nvTable(ctx, table); err != nil {
				return t, err
			}
		}
		return t, nil
	}
	blob, err := l.nvItem(ctx, nvAddressManager)
	if err != nil {
		return t, err
	}
	row := 12
	if t.packed {
		row = 11
	}
	t.addresses = splitRows(blob, row)
	if t.tclk, err = l.nvSeries(ctx, nvTCLKStart, legacyTCLKItems); err != nil {
		return t, err
	}
	if t.apsKeys, err = l.nvSeries(ctx, nvAPSKeysStart, legacyAPSKeyItems); err != nil {
		return t, err
	}
	t.counters, err = l.nvSeries(ctx, nvCountersStart, legacyCounterItems)
	return t, err
}

// splitRows cuts an item into rows and leaves an incomplete last one out.
func splitRows(b []byte, size int) [][]byte {
	var rows [][]byte
	for ; len(b) >= size; b = b[size:] {
		rows = append(rows, b[:size:size])
	}
	return rows
}

// firmware is what the bring-up found out about the stick's firmware.
type firmware struct {
	product uint8
	layout  alignment
}

func (l *link) firmware() firmware {
	l.mu.Lock()
	defer l.mu.Unlock()
	return firmware{product: l.product, layout: l.layout}
}
