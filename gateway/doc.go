// Package gateway composes the rooms into the daemon: it gives each report a sequence number, keeps it, publishes
// it, registers devices in the ledger and answers the local API. Only here do zigbee, p2p and blockchain meet.
package gateway

// Version is the release this source becomes; the linker may replace it.
var Version = "0.1.0"
