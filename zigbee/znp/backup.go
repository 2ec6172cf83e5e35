package znp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/backup"
)

// Backup reads all of the stick that another stick needs to take its place: the network, its key, the devices and
// their keys. It writes nothing. It works on a stick that runs and on one that waits for a decision; one without a
// whole network gives ErrNoNetwork. Who makes the backup, and when, is left to the caller to fill in.
func (h *Host) Backup(ctx context.Context) (backup.Document, error) {
	var d backup.Document
	err := h.borrow(ctx, func(ctx context.Context, l *link, _ State) error {
		var err error
		d, err = l.backup(ctx)
		return err
	})
	if err != nil {
		return backup.Document{}, fmt.Errorf("back up the stick's network: %w", err)
	}
	return d, nil
}

var errChanging = errors.New("the network changed while it was read: try again")

func (l *link) backup(ctx context.Context) (backup.Document, error) {
	found, err := l.survey(ctx)
	if err != nil {
		return backup.Document{}, err
	}
	held := found.network()
	if held == nil {
		return backup.Document{}, ErrNoNetwork
	}
	d, err := l.readNetwork(ctx, found)
	if err != nil {
		return d, err
	}
	after, err := l.survey(ctx)
	if err != nil {
		return d, err
	}
	if now := after.network(); now == nil || *now != *held || after.nib.updateID != found.nib.updateID {
		return d, errChanging
	}
	return d, d.Check()
}

func (l *link) readNetwork(ctx context.Context, found contents) (backup.Document, error) {
	product := l.firmware().product
	d := backup.Document{
		ZNPVersion:  &product,
		Coordinator: found.coordinator, PAN: found.nib.pan, ExtendedPAN: found.nib.extendedPAN,
		UpdateID: found.nib.updateID, SecurityLevel: found.nib.securityLevel,
		Channel: found.nib.channel, ChannelMask: found.nib.channelMask,
	}
	if d.ChannelMask == 0 {
		d.ChannelMask = channelMask(d.Channel)
	}
	active, err := l.nvItem(ctx, nvActiveKey)
	if err != nil {
		return d, err
	}
	key, ok := activeKey(active)
	if !ok || !bytes.Equal(key, found.key) {
		return d, errChanging
	}
	d.NetworkKey.Sequence, d.NetworkKey.Key = active[0], backup.Key(key)
	seed, err := l.nvItem(ctx, nvTCLKSeed)
	if err != nil {
		return d, err
	}
	if len(seed) == len(backup.Key{}) {
		k := backup.Key(seed)
		d.TCLKSeed = &k
	}
	tables, err := l.deviceTables(ctx)
	if err != nil {
		return d, err
	}
	item, err := l.nvItem(ctx, nvNetworkKey)
	if err != nil {
		return d, err
	}
	if d.NetworkKey.FrameCounter, ok = frameCounter(tables.counters, item, d.ExtendedPAN); !ok {
		return d, errors.New("the stick does not tell the network's frame counter")
	}
	d.Devices, err = devices(tables, d.TCLKSeed, d.Coordinator)
	return d, err
}

// frameCounter takes the network's counter from its row, {u32 counter, u64 extended PAN}; from the row of all
// networks; or from the network key item, where firmware without that table keeps it.
func frameCounter(rows [][]byte, keyItem []byte, network zb.ExtendedPANID) (uint32, bool) {
	const every zb.ExtendedPANID = 0xFFFFFFFFFFFFFFFF
	for _, want := range []zb.ExtendedPANID{network, every} {
		counter, found := uint32(0), false
		for _, row := range rows {
			if len(row) >= 12 && zb.ExtendedPANID(binary.LittleEndian.Uint64(row[4:])) == want {
				counter, found = max(counter, binary.LittleEndian.Uint32(row)), true
			}
		}
		if found {
			return counter, true
		}
	}
	if alignmentOf(uint16(len(keyItem))) == alignmentUnknown {
		return 0, false
	}
	return binary.LittleEndian.Uint32(keyItem[len(keyItem)-4:]), true
}
