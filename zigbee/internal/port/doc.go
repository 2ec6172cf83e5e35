// Package port opens the byte stream to a coordinator stick (a serial device or a TCP socket) and finds the
// sticks plugged into this machine.
//
// It must never know what the bytes mean: no frame, no stick protocol, no network.
package port
