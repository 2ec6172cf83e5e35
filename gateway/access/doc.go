// Package access decides who may see what: the gateway's list of grants, its tickets, and their end by expiry,
// revocation or a device's removal. It answers p2p's Authorizer and Enroller.
//
// Nobody may anything unless a grant says so. It must never know how peers are reached, what a reading means, or
// what a device is beyond its key; its memory is gateway/store.
package access
