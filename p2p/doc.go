// Package p2p is the peer-to-peer layer: a libp2p host with Noise over TCP, a private Kademlia network, mDNS,
// enrolment by ticket and subscription streams.
//
// It moves bytes and asks an Authorizer; it must never know what a reading means, what a device is, or where
// anything is stored.
package p2p
