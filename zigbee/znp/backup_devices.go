package znp

import (
	"encoding/binary"
	"errors"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/backup"
)

// Users of a row of the address manager, as bits (AddrMgr.h). None and all set mark an unused row.
const (
	addressOfChild  = 0x01
	addressUnused   = 0xFF
	lastNodeAddress = 0xFFF7 // above are broadcast and reserved addresses (R22 section 3.6.1.6)
)

// Attributes of a key of the trust centre that was made from the seed (ZDSecMgr.h): the device was given it, or has
// proved to have it. Those of install codes and the well-known key are others.
const (
	keyGiven    = 0x01
	keyVerified = 0x02
)

var errNoSeed = errors.New("the stick does not tell the seed of its link keys")

// addressEntry is a row of the address manager.
type addressEntry struct {
	user    uint8
	network zb.NetworkAddress
	ieee    zb.IEEEAddress
}

// parseAddress reads {user, u16 network, u64 IEEE}, with a byte of padding after user where structures are aligned.
func parseAddress(row []byte) (addressEntry, bool) {
	if len(row) != 11 && len(row) != 12 {
		return addressEntry{}, false
	}
	rest := row[len(row)-10:]
	e := addressEntry{
		user:    row[0],
		network: zb.NetworkAddress(binary.LittleEndian.Uint16(rest)),
		ieee:    zb.IEEEAddress(binary.LittleEndian.Uint64(rest[2:])),
	}
	if e.network == 0 || e.network > lastNodeAddress {
		e.network = backup.NoAddress
	}
	return e, e.user != 0 && e.user != addressUnused && realIEEE(e.ieee)
}

func realIEEE(a zb.IEEEAddress) bool { return a != 0 && a != 0xFFFFFFFFFFFFFFFF }

// devices lists who is in the tables: first those with an address, then those of which only a key is left. Z-Stack
// loses addresses of devices that are silent for long; their keys are worth keeping.
func devices(t deviceTables, seed *backup.Key, coordinator zb.IEEEAddress) ([]backup.Device, error) {
	keys, order, err := tclkKeys(t.tclk, seed)
	if err != nil {
		return nil, err
	}
	apsKeys(t, keys)
	var list []backup.Device
	place := make(map[zb.IEEEAddress]int)
	add := func(d backup.Device) {
		if d.IEEE == coordinator {
			return
		}
		if i, again := place[d.IEEE]; again {
			if list[i].Network == backup.NoAddress {
				list[i] = d
			}
			return
		}
		place[d.IEEE] = len(list)
		list = append(list, d)
	}
	for _, row := range t.addresses {
		if e, used := parseAddress(row); used {
			child := e.user&addressOfChild != 0
			add(backup.Device{IEEE: e.ieee, Network: e.network, Child: &child, LinkKey: keys[e.ieee]})
		}
	}
	for _, ieee := range order {
		if _, known := place[ieee]; !known {
			child := false
			add(backup.Device{IEEE: ieee, Network: backup.NoAddress, Child: &child, LinkKey: keys[ieee]})
		}
	}
	return list, nil
}

// tclkKeys derives the link keys the trust centre gave out. A row is {u32 tx, u32 rx, u64 IEEE, attributes, type,
// shift}, with a byte of padding where structures are aligned.
func tclkKeys(rows [][]byte, seed *backup.Key) (map[zb.IEEEAddress]*backup.LinkKey, []zb.IEEEAddress, error) {
	keys := make(map[zb.IEEEAddress]*backup.LinkKey)
	var order []zb.IEEEAddress
	for _, row := range rows {
		if len(row) < 19 || row[16] != keyGiven && row[16] != keyVerified {
			continue
		}
		ieee := zb.IEEEAddress(binary.LittleEndian.Uint64(row[8:]))
		if !realIEEE(ieee) || keys[ieee] != nil {
			continue
		}
		if seed == nil {
			return nil, nil, errNoSeed
		}
		keys[ieee] = &backup.LinkKey{
			Key:       deriveLinkKey(*seed, ieee, row[18]),
			TxCounter: binary.LittleEndian.Uint32(row),
			RxCounter: binary.LittleEndian.Uint32(row[4:]),
		}
		order = append(order, ieee)
	}
	return keys, order, nil
}

// deriveLinkKey is how Z-Stack makes a device's key: the seed, rotated left by shift bytes, XOR the device's
// address, little endian, twice.
func deriveLinkKey(seed backup.Key, ieee zb.IEEEAddress, shift uint8) backup.Key {
	address := binary.LittleEndian.AppendUint64(nil, uint64(ieee))
	var key backup.Key
	for i := range key {
		key[i] = seed[(i+int(shift))%len(seed)] ^ address[i%len(address)]
	}
	return key
}

// apsKeys adds the keys that were agreed on, for devices without a key of the trust centre. The index is a u16 count
// and rows of {u16 row of the address manager, u16 key, authentication}, padded where structures are aligned; a row
// of the keys is {key, u32 tx, u32 rx}.
func apsKeys(t deviceTables, keys map[zb.IEEEAddress]*backup.LinkKey) {
	const header, packedRow, alignedRow = 2, 5, 6
	if len(t.apsIndex) < header {
		return
	}
	size := alignedRow
	if t.packed {
		size = packedRow
	}
	rows := splitRows(t.apsIndex[header:], size)
	rows = rows[:min(len(rows), int(binary.LittleEndian.Uint16(t.apsIndex)))]
	for _, row := range rows {
		device, id := int(binary.LittleEndian.Uint16(row)), int(binary.LittleEndian.Uint16(row[2:]))
		if id >= int(nvAPSKeysStart) { // firmware without tables names the item
			id -= int(nvAPSKeysStart)
		}
		if device >= len(t.addresses) || id >= len(t.apsKeys) || len(t.apsKeys[id]) < 24 {
			continue
		}
		e, used := parseAddress(t.addresses[device])
		key := backup.Key(t.apsKeys[id][:16])
		if !used || key.IsZero() || keys[e.ieee] != nil {
			continue
		}
		keys[e.ieee] = &backup.LinkKey{
			Key:       key,
			TxCounter: binary.LittleEndian.Uint32(t.apsKeys[id][16:]),
			RxCounter: binary.LittleEndian.Uint32(t.apsKeys[id][20:]),
		}
	}
}
