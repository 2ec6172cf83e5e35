package zigbee

import (
	"context"
	"errors"

	"github.com/peerbee/peerbee/zigbee/backup"
)

// ErrNoBackup says that sticks of this family cannot be read out.
var ErrNoBackup = errors.New("a stick of this family cannot be backed up")

// saver is a radio whose network can be read out.
type saver interface {
	Backup(context.Context) (backup.Document, error)
	Snapshot(context.Context) ([]byte, error)
}

// Backup reads everything another stick needs to take this one's place, keys included. It writes nothing to the
// stick and works as soon as the stick is recognised, before a network is adopted, too. Source and Written are left
// to the caller.
func (n *Network) Backup(ctx context.Context) (backup.Document, error) {
	s, ok := n.radio.(saver)
	if !ok {
		return backup.Document{}, ErrNoBackup
	}
	return s.Backup(ctx)
}

// Snapshot copies all of the stick's memory, keys included, in the form of the stick's family: what to keep before a
// step that could destroy it. It is nil for a stick that holds nothing of a network.
func (n *Network) Snapshot(ctx context.Context) ([]byte, error) {
	s, ok := n.radio.(saver)
	if !ok {
		return nil, ErrNoBackup
	}
	return s.Snapshot(ctx)
}
