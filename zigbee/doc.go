// Package zigbee runs one Zigbee network through a coordinator stick: its device table, joins, interviews,
// attribute reports and commands, as one ordered stream of events.
//
// It must never know what becomes of a report: no sequence number, no peer, no ledger, no file of its own.
// What has to outlive the process (the device table, the network's parameters) leaves as events and comes
// back as Options.
package zigbee
