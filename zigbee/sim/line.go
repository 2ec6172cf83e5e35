package sim

import (
	"math/rand/v2"
	"slices"
)

// highWater is how many bytes may wait for the port before everything that talks has to wait.
const highWater = 32 << 10

// lineLimit is where even that which cannot wait is lost: the port's buffer is full.
const lineLimit = 16 * highWater

// Faults damage what the stick sends. The zero value damages nothing.
type Faults struct {
	Drop         float64 `json:"drop,omitempty"`          // chance of each byte to vanish, 0 to 1
	Flip         float64 `json:"flip,omitempty"`          // chance of each byte to have one bit flipped
	Duplicate    int     `json:"duplicate,omitempty"`     // every so many frames one is sent twice
	GarbageBytes int     `json:"garbage_bytes,omitempty"` // random bytes before every GarbageEvery-th frame
	GarbageEvery int     `json:"garbage_every,omitempty"` // 0 or 1: every frame
	Split        bool    `json:"split,omitempty"`         // one byte a write
	// Broadcast makes reports broadcasts, each of which arrives once for every registered endpoint.
	Broadcast   bool `json:"broadcast,omitempty"`
	ReportsOnly bool `json:"reports_only,omitempty"` // answers and indications other than reports stay whole

	// RequestStatus is the answer to the next RequestCount data requests, which go nowhere.
	RequestStatus uint8 `json:"request_status,omitempty"`
	RequestCount  int   `json:"request_count,omitempty"`
	// ConfirmStatus is the confirmation of the next ConfirmCount data requests; the message is delivered all
	// the same if ConfirmDelivers.
	ConfirmStatus   uint8 `json:"confirm_status,omitempty"`
	ConfirmCount    int   `json:"confirm_count,omitempty"`
	ConfirmDelivers bool  `json:"confirm_delivers,omitempty"`
}

// Stats count what went over the port since the stick was made.
type Stats struct {
	FramesReceived uint64 `json:"frames_received"`
	FramesSent     uint64 `json:"frames_sent"`    // whole or damaged, duplicates counted twice
	FramesUnheard  uint64 `json:"frames_unheard"` // not sent: nobody had the port open, or read from it
	FramesHit      uint64 `json:"frames_hit"`     // sent with a byte of their own dropped or flipped
	ReportsSent    uint64 `json:"reports_sent"`   // reports and notifications of sensors among FramesSent
	ReportsHit     uint64 `json:"reports_hit"`    // those among FramesHit
	ReportsUnheard uint64 `json:"reports_unheard"`
	ReportsRefused uint64 `json:"reports_refused"` // the endpoint they were for was not registered
	LoadSent       uint64 `json:"load_sent"`       // the load generator's among ReportsSent
	Duplicates     uint64 `json:"duplicates"`
	BytesSent      uint64 `json:"bytes_sent"`
	BytesDropped   uint64 `json:"bytes_dropped"`
	BytesFlipped   uint64 `json:"bytes_flipped"`
	BytesGarbage   uint64 `json:"bytes_garbage"`
}

// line is the outgoing half of the port: frames wait in it, already damaged, until they are written.
type line struct {
	buf    []byte
	up     bool // somebody has the port open
	faults Faults
	stats  Stats
	rng    *rand.Rand
	frames uint64 // frames since the faults were set, for every kth
	dups   uint64
}

// setFaults replaces the faults and starts counting frames anew.
func (l *line) setFaults(f Faults) { l.faults, l.frames, l.dups = f, 0, 0 }

// put sends one frame.
func (l *line) put(frame []byte, report bool) {
	if !l.up || len(l.buf) > lineLimit {
		l.stats.FramesUnheard++
		if report {
			l.stats.ReportsUnheard++
		}
		return
	}
	damage := report || !l.faults.ReportsOnly
	if damage {
		l.frames++
		if every := uint64(max(l.faults.GarbageEvery, 1)); l.faults.GarbageBytes > 0 && l.frames%every == 0 {
			l.garbage()
		}
	}
	l.once(frame, report, damage)
	if every := l.faults.Duplicate; damage && every > 0 {
		if l.dups++; l.dups%uint64(every) == 0 {
			l.stats.Duplicates++
			l.once(frame, report, damage)
		}
	}
}

func (l *line) garbage() {
	n := min(l.faults.GarbageBytes, highWater)
	for range n {
		l.buf = append(l.buf, byte(l.rng.Uint32()))
	}
	l.stats.BytesGarbage += uint64(n)
}

func (l *line) once(frame []byte, report, damage bool) {
	l.stats.FramesSent++
	if report {
		l.stats.ReportsSent++
	}
	if !damage || l.faults.Drop <= 0 && l.faults.Flip <= 0 {
		l.buf = append(l.buf, frame...)
		return
	}
	hit := false
	for _, b := range frame {
		if l.rng.Float64() < l.faults.Drop {
			l.stats.BytesDropped++
			hit = true
			continue
		}
		if l.rng.Float64() < l.faults.Flip {
			b ^= 1 << l.rng.UintN(8)
			l.stats.BytesFlipped++
			hit = true
		}
		l.buf = append(l.buf, b)
	}
	if hit {
		l.stats.FramesHit++
		if report {
			l.stats.ReportsHit++
		}
	}
}

// raw sends bytes that are no frame.
func (l *line) raw(b ...byte) {
	if l.up && len(l.buf) <= lineLimit {
		l.buf = append(l.buf, b...)
		l.stats.BytesGarbage += uint64(len(b))
	}
}

// take hands over everything that waits and keeps into for what comes next.
func (l *line) take(into []byte) []byte {
	out := l.buf
	l.buf = into[:0]
	return out
}

// open empties the line for a new peer.
func (l *line) open() { l.up, l.buf = true, slices.Grow(l.buf[:0], 4096) }

func (l *line) full() bool { return len(l.buf) >= highWater }
