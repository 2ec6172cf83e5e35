package zigbee

import (
	"errors"
	"testing"
)

// TestFamilyWithoutBackup asks a radio that cannot be read out.
func TestFamilyWithoutBackup(t *testing.T) {
	n := newNetwork(newFakeRadio(), Options{})
	if _, err := n.Backup(t.Context()); !errors.Is(err, ErrNoBackup) {
		t.Errorf("backup: %v", err)
	}
	if b, err := n.Snapshot(t.Context()); !errors.Is(err, ErrNoBackup) || b != nil {
		t.Errorf("snapshot: %v", err)
	}
}
