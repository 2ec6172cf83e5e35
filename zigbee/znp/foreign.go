package znp

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"time"
)

// foreignError says that the stick cannot be driven by this package.
type foreignError struct{ problem, hint string }

func (e *foreignError) Error() string { return e.problem }

func (e *foreignError) state() State {
	return State{Phase: PhaseWrongFamily, Problem: e.problem, Hint: e.hint}
}

const hintOtherStick = "plug in a stick with TI's Z-Stack 3 firmware, such as the Sonoff ZBDongle-P, and set its port"

var (
	foreignEZSP   = &foreignError{"the stick speaks EZSP (Silicon Labs), which peerbee does not", hintOtherStick}
	foreignDeconz = &foreignError{"the stick speaks deCONZ (dresden elektronik), which peerbee does not", hintOtherStick}
	oldFirmware   = &foreignError{
		"the stick's firmware is Z-Stack 1.2, which is too old",
		"write Z-Stack 3 firmware to the stick, then plug it in again",
	}
)

// foreignReply is how long another family's stick may take to answer.
const foreignReply = 250 * time.Millisecond

var (
	// ashReset is ASH's cancel byte, RST frame and flag (UG101 section 4.4).
	ashReset = []byte{0x1A, 0xC0, 0x38, 0xBC, 0x7E}
	// deconzVersion asks for the firmware version, SLIP framed.
	deconzVersion = []byte{0xC0, 0x0D, 0x01, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0xE9, 0xFF, 0xC0}
)

// recognise asks in the tongues of other families and names the one that answers, nil when none does. ZNP
// firmware and TI's boot loaders take these bytes for noise.
func (l *link) recognise(ctx context.Context) error {
	l.tap.open()
	defer l.tap.close()
	for _, question := range [][]byte{ashReset, deconzVersion} {
		if err := l.rawWrite(ctx, question); err != nil {
			return err
		}
		if err := l.listen(ctx, foreignReply); err != nil {
			return err
		}
		heard := l.tap.bytes()
		switch {
		case speaksASH(heard):
			return foreignEZSP
		case speaksDeconz(heard):
			return foreignDeconz
		}
	}
	return nil
}

// rawWrite puts bytes on the wire that are no frame, while no request is in flight.
func (l *link) rawWrite(ctx context.Context, b []byte) error {
	select {
	case l.out <- b:
		return nil
	case <-l.dead:
		return l.cause()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tap keeps a copy of the first bytes that arrive while it is open.
type tap struct {
	mu     sync.Mutex // guards what follows
	opened bool
	heard  []byte
}

const tapSize = 1024

func (t *tap) open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened, t.heard = true, nil
}

func (t *tap) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened, t.heard = false, nil
}

func (t *tap) add(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opened {
		t.heard = append(t.heard, b[:min(len(b), tapSize-len(t.heard))]...)
	}
}

func (t *tap) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.heard)
}

// speaksASH reports whether b holds an ASH frame with a good checksum (UG101 sections 2 and 4).
func speaksASH(b []byte) bool {
	frames := bytes.Split(b, []byte{0x7E})
	for _, frame := range frames[:len(frames)-1] { // the last one has no end flag
		if cancel := bytes.LastIndexByte(frame, 0x1A); cancel >= 0 {
			frame = frame[cancel+1:]
		}
		frame = unescape(frame, 0x7D, func(c byte) byte { return c ^ 0x20 })
		if len(frame) < 3 {
			continue
		}
		body := frame[:len(frame)-2]
		if crc16(body) == binary.BigEndian.Uint16(frame[len(frame)-2:]) {
			return true
		}
	}
	return false
}

// crc16 is CRC-16/CCITT with initial value 0xFFFF.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// speaksDeconz reports whether b holds a whole deCONZ frame: SLIP, the length in bytes 3 and 4, and the
// complement of the byte sum at its end.
func speaksDeconz(b []byte) bool {
	for _, frame := range bytes.Split(b, []byte{0xC0}) {
		frame = unescape(frame, 0xDB, func(c byte) byte {
			if c == 0xDC {
				return 0xC0
			}
			return 0xDB
		})
		if len(frame) < 7 {
			continue
		}
		body := frame[:len(frame)-2]
		var sum uint16
		for _, c := range body {
			sum += uint16(c)
		}
		if int(binary.LittleEndian.Uint16(body[3:])) == len(body) && -sum == binary.LittleEndian.Uint16(frame[len(frame)-2:]) {
			return true
		}
	}
	return false
}

func unescape(b []byte, escape byte, decode func(byte) byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == escape && i+1 < len(b) {
			i++
			out = append(out, decode(b[i]))
			continue
		}
		out = append(out, b[i])
	}
	return out
}
