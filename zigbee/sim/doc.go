// Package sim is a simulated Z-Stack stick with simulated sensors: the codec of the stick's host the other way
// round. It speaks the real bytes over a pseudo terminal, a TCP port or any io.ReadWriteCloser, behaves as TI's
// command handlers do, keeps its memory in a dump file, and damages its own line on request. It must never know
// who is at the other end: neither the host nor a gateway.
//
// # Time
//
// Values, addresses and faults follow from the seed. The package uses the time package only, so that a test with
// testing/synctest makes hours pass at once. Delays of a real stick are off unless asked for.
//
// # Control socket
//
// ServeControl listens on a unix socket for lines of JSON and answers each with one, {} for success or
// {"error":"why not"}; Client does that in Go. Operations:
//
//	{"op":"sensors"}                          {"sensors":[{"name":"temperature-1","kind":"temperature","ieee":"00158d...",
//	                                          "network":4660,"joined":true,"properties":{"temperature":21.5},"load":0}]}
//	{"op":"stats"}                            {"stats":{"frames_sent":12,...}}, see Stats
//	{"op":"status"}                           {"running":true,"endpoints":2}
//	{"op":"set","sensor":"temperature-1","property":"temperature","value":21.5}
//	                                          a number or a bool; a member reports it at once
//	{"op":"join","sensor":"plug-1"}           joins if joining is open; a member announces itself anew
//	{"op":"leave","sensor":"plug-1"}          leaves of its own accord
//	{"op":"move","sensor":"plug-1"}           gets a new short address and announces it
//	{"op":"press","sensor":"plug-1"}          its button: it reports everything it measures
//	{"op":"pause"}, {"op":"resume"}           the schedules of all sensors
//	{"op":"load","load":{"rate":200,"sensors":5,"count":1000,"stamp":true}}
//	                                          reports at a rate, see Load; {"load":{"stop":true}} stops them
//	{"op":"faults","faults":{"drop":0.001}}   replaces the faults, see Faults; without "faults" all are lifted
//	{"op":"stray"}                            one lone start byte (FE)
//	{"op":"stall","seconds":2}                neither reads nor writes for so long
//	{"op":"reset"}                            the firmware crashes and restarts
//	{"op":"unplug","seconds":10}              the port is closed, its link vanishes, and both come back
//
// # Losses
//
// Stats counts what was put on the line, and how many frames, and reports among them, had a byte of their own
// dropped or flipped: a host that loses more than those lost whole ones.
package sim
