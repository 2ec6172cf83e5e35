// Package blockchain is the ledger of device ownership: one append-only Merkle log per gateway in C2SP form,
// canonical COSE records, the ownership state machine, signed checkpoints and offline proofs.
//
// It must never know radios, readings, HTTP routes or peers' connections.
package blockchain
