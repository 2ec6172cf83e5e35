// Package blockchain is the ledger of device ownership: one append-only Merkle log per gateway in C2SP form,
// canonical COSE records, the ownership state machine, signed checkpoints and offline proofs
// (docs/protocol/ledger.md).
//
// A record's life, and where to read on:
//
//	record.go      what a record says; encoding.go how it is spelt and signed
//	state.go       which record may follow which: one table, replayed by everybody
//	tree.go        the RFC 6962 tree over the records, checkpoint.go its signed head
//	journal.go     the one file that keeps them, disk.go what it asks of the disk
//	ledger.go      opening and asking; writer.go the one goroutine that appends
//	bundle.go      a device's proof as a file, verify.go judging it offline
//
// What each store is trusted for: the journal for nothing (every byte of it is verified at opening; whoever changes
// it gains a ledger that refuses to open); the key files for everything this gateway may sign.
//
// It must never know radios, readings, HTTP routes or peers' connections.
package blockchain
