// Package store keeps what a gateway must remember in one SQLite file: devices and their sequence numbers,
// readings, the rights of peers, tickets and the audit log.
//
// It is trusted for rights and for never handing out a sequence number twice; whoever can write the file can
// grant himself anything, so it is created with mode 0600. It must never know radios, network protocols, the
// meaning of a zigbee record, or who may do what: it stores decisions, it takes none.
//
// Durability: everything but readings is on disk before the call returns. Readings are committed together, in
// arrival order, after 10 s or 500 of them; Durable tells how far.
package store
