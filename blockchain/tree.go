package blockchain

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is an RFC 6962 Merkle tree held in memory, 64 bytes a record. A tree value never changes: extend gives a new
// one that shares the old hashes, so readers keep theirs without a lock. Only the newest value may be extended.
type tree struct {
	hashes []tlog.Hash // in the order of tlog.StoredHashIndex
	size   int64
}

// ReadHashes implements tlog.HashReader.
func (t tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("tree of %d records has no hash %d", t.size, at)
		}
		out[i] = t.hashes[at]
	}
	return out, nil
}

// extend gives the tree with one more record.
func (t tree) extend(id RecordID) (tree, error) {
	more, err := tlog.StoredHashesForRecordHash(t.size, tlog.Hash(id), t)
	if err != nil {
		return tree{}, fmt.Errorf("extend tree: %w", err)
	}
	return tree{hashes: append(t.hashes, more...), size: t.size + 1}, nil
}

// head gives size and root, what a checkpoint signs.
func (t tree) head() (tlog.Tree, error) {
	root, err := tlog.TreeHash(t.size, t)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("compute root: %w", err)
	}
	return tlog.Tree{N: t.size, Hash: root}, nil
}

// prove gives the inclusion proof of the record at index (RFC 6962, section 2.1.1).
func (t tree) prove(index int64) (tlog.RecordProof, error) {
	p, err := tlog.ProveRecord(t.size, index, t)
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", index, err)
	}
	return p, nil
}
