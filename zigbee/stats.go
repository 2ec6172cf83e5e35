package zigbee

import "sync/atomic"

// LinkStats counts what happened between this machine and the stick since the start.
type LinkStats struct {
	FramesIn     uint64 // good frames from the stick
	BadFrames    uint64 // frames with a wrong checksum
	BytesLost    uint64 // read, but part of no good frame
	Messages     uint64 // application messages received, copies included
	Copies       uint64 // of these, copies of a broadcast left out
	MessagesLost uint64 // events of the stick dropped because this package was slow
	Requests     uint64 // commands sent to the stick
	Timeouts     uint64 // commands the stick did not answer
	Sent         uint64 // application messages confirmed
	SendRetries  uint64 // further attempts to send one
	SendFailures uint64 // application messages given up
	Opens        uint64 // times the port was opened
	Resets       uint64 // times the stick restarted by itself
}

// Stats counts since the start, for metrics.
type Stats struct {
	Link           LinkStats
	Devices        int
	Reports        uint64 // Report events made
	LostReports    uint64 // of these, dropped because the reader was slow
	Queued         int    // events waiting for the reader
	Copies         uint64 // frames received more than once
	BadFrames      uint64 // application messages that are no ZCL frame
	StrangerFrames uint64 // frames of unknown senders given up
	RefusedDevices uint64 // joins ignored because the table was full
	DroppedReplies uint64 // answers not sent because too many were waiting
	Interviews     uint64 // interview runs begun
	InterviewsDone uint64
}

type counters struct {
	reports, copies, badFrames, strangerFrames, refusedDevices, droppedReplies, interviews, interviewsDone atomic.Uint64
}

// Stats gives the counters.
func (n *Network) Stats() Stats {
	waiting, lost := n.queue.depth()
	c := &n.counters
	return Stats{
		Link: n.radio.Stats(), Devices: n.table.len(), Queued: waiting, LostReports: lost,
		Reports: c.reports.Load(), Copies: c.copies.Load(), BadFrames: c.badFrames.Load(),
		StrangerFrames: c.strangerFrames.Load(), RefusedDevices: c.refusedDevices.Load(),
		DroppedReplies: c.droppedReplies.Load(), Interviews: c.interviews.Load(), InterviewsDone: c.interviewsDone.Load(),
	}
}
