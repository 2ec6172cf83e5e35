package znp

import "github.com/peerbee/peerbee/zigbee/backup"

// OpenState gives the state shown for a port that cannot be opened.
func OpenState(err error) State { return newOpenError(err).state() }

// DevicesOf gives the devices of the tables of a memory whose seed is all zeros.
func DevicesOf(packed bool, addresses, tclk [][]byte, apsIndex []byte, apsKeys [][]byte) ([]backup.Device, error) {
	return devices(deviceTables{packed: packed, addresses: addresses, tclk: tclk, apsIndex: apsIndex, apsKeys: apsKeys}, &backup.Key{}, 1)
}
