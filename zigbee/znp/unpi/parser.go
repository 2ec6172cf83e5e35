package unpi

import "bytes"

// Stats counts what a Parser has seen.
type Stats struct {
	Frames      uint64 // good frames handed out
	BadChecksum uint64 // candidates of full length whose checksum was wrong
	Skipped     uint64 // bytes that belonged to no good frame
}

// Parser finds frames in a byte stream that may be cut anywhere and damaged anywhere. After a false start it
// drops that one start byte only, so that good frames inside the falsely claimed length are found.
// The zero value is ready. A Parser is not safe for concurrent use.
type Parser struct {
	rest  []byte // an incomplete candidate: empty, or starting with SOF; shorter than a whole frame
	stats Stats
}

// Feed takes the next bytes and calls yield for every frame completed by them, in order. A frame's payload is
// valid only during that call. Chunk is not kept.
func (p *Parser) Feed(chunk []byte, yield func(Frame)) {
	if len(p.rest) == 0 {
		p.keep(p.scan(chunk, yield))
		return
	}
	p.rest = append(p.rest, chunk...)
	p.keep(p.scan(p.rest, yield))
}

// Pending reports whether an incomplete frame is held back.
func (p *Parser) Pending() bool { return len(p.rest) > 0 }

// Stats gives the counters.
func (p *Parser) Stats() Stats { return p.stats }

// Expire is to be called when no byte has come for the inter-byte timeout (about 100 ms) while Pending: frames
// that are complete inside a candidate with a false length are handed out. A candidate that holds none stays,
// since its other half may only be late.
func (p *Parser) Expire(yield func(Frame)) {
	for {
		at := innerFrame(p.rest)
		if at < 0 {
			return
		}
		p.stats.Skipped += uint64(at)
		p.keep(p.scan(p.rest[at:], yield))
	}
}

// Flush gives up on whatever is incomplete, after a last look for whole frames inside it.
func (p *Parser) Flush(yield func(Frame)) {
	p.Expire(yield)
	p.stats.Skipped += uint64(len(p.rest))
	p.rest = p.rest[:0]
}

// Reset forgets held back bytes, for a reopened port. Counters stay.
func (p *Parser) Reset() { p.rest = p.rest[:0] }

// keep stores what scan left over; b may be a part of p.rest itself.
func (p *Parser) keep(b []byte) {
	p.rest = append(p.rest[:0], b...)
}

// scan hands out all frames of b and gives the incomplete candidate at its end.
func (p *Parser) scan(b []byte, yield func(Frame)) []byte {
	for {
		start := bytes.IndexByte(b, SOF)
		if start < 0 {
			p.stats.Skipped += uint64(len(b))
			return nil
		}
		p.stats.Skipped += uint64(start)
		b = b[start:]
		size, verdict := candidate(b)
		switch verdict {
		case incomplete:
			return b
		case good:
			p.stats.Frames++
			yield(frameOf(b[:size]))
			b = b[size:]
		case badChecksum, badHeader:
			if verdict == badChecksum {
				p.stats.BadChecksum++
			}
			p.stats.Skipped++
			b = b[1:]
		}
	}
}

type verdict int

const (
	incomplete verdict = iota
	good
	badChecksum
	badHeader
)

// candidate judges the bytes that start with SOF and gives the size of the frame they claim.
func candidate(b []byte) (int, verdict) {
	if len(b) < 2 {
		return 0, incomplete
	}
	length := int(b[1])
	if length > MaxPayload || len(b) > 2 && !plausible(b[2]) {
		return 0, badHeader
	}
	size := length + overhead
	if len(b) < size {
		return size, incomplete
	}
	if checksum(b[1:size-1]) != b[size-1] {
		return size, badChecksum
	}
	return size, good
}

// plausible judges the first command byte, whether any frame can carry it. One false start in 256 meets a
// matching checksum and would swallow good frames; most of these are told apart here, without waiting.
func plausible(cmd0 byte) bool {
	t, s := Type(cmd0>>5), Subsystem(cmd0&subsystemMask)
	switch {
	case t == Poll || t > SyncResponse:
		return false
	case s == RPCError:
		return t == SyncResponse
	default:
		return knownSubsystems&(1<<s) != 0
	}
}

// innerFrame gives the position of the first complete good frame after position 0, or -1.
func innerFrame(b []byte) int {
	for at := 1; at < len(b); at++ {
		next := bytes.IndexByte(b[at:], SOF)
		if next < 0 {
			return -1
		}
		at += next
		if _, v := candidate(b[at:]); v == good {
			return at
		}
	}
	return -1
}

func frameOf(b []byte) Frame {
	return Frame{
		Type:      Type(b[2] >> 5),
		Subsystem: Subsystem(b[2] & subsystemMask),
		ID:        b[3],
		Payload:   b[4 : len(b)-1],
	}
}
