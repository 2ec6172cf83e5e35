package blockchain

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// maxPayload bounds a frame's payload in bytes.
const maxPayload = maxLeaf

// frameError is a frame that is not one.
type frameError struct {
	why string
	// whole says that a frame of the announced length is there and ends in something else than zeros: it was once
	// written completely and has changed since.
	whole bool
}

func (e *frameError) Error() string { return e.why }

var errFrame = &frameError{why: "a frame that cannot stand here", whole: true}

// appendFrame appends u32 length, kind, payload and the CRC-32C over all three.
func appendFrame(buf []byte, kind byte, payload []byte) []byte {
	start := len(buf)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(payload)))
	buf = append(buf, kind)
	buf = append(buf, payload...)
	return binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli))
}

// parseHead gives a frame's kind and payload length; ok says that such a length may exist.
func parseHead(head []byte) (kind byte, length int, ok bool) {
	n := binary.BigEndian.Uint32(head)
	return head[4], int(n), n > 0 && n <= maxPayload
}

func knownKind(kind byte) bool {
	return kind == kindEntry || kind == kindCheckpoint || kind == kindPrivate
}

// frameReader reads one frame after the other.
type frameReader struct {
	in     *bufio.Reader
	offset int64 // behind the last whole frame
}

// next gives the next frame, io.EOF at a clean end, a *frameError for bytes that are none, or the disk's error.
func (r *frameReader) next() (kind byte, payload []byte, err error) {
	head := make([]byte, frameHead)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, shortFrame(err)
	}
	kind, length, ok := parseHead(head)
	if !ok {
		return 0, nil, &frameError{why: "no frame starts here"}
	}
	rest := make([]byte, length+4)
	if _, err := io.ReadFull(r.in, rest); errors.Is(err, io.EOF) {
		return 0, nil, shortFrame(io.ErrUnexpectedEOF)
	} else if err != nil {
		return 0, nil, shortFrame(err)
	}
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, rest[:length])
	if got := binary.BigEndian.Uint32(rest[length:]); got != sum || !knownKind(kind) {
		return 0, nil, &frameError{why: "a frame's checksum or kind is wrong", whole: got != 0}
	}
	r.offset += int64(frameHead + length + 4)
	return kind, rest[:length], nil
}

// shortFrame tells a file that ends inside a frame from a disk that cannot be read.
func shortFrame(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &frameError{why: "the file ends inside a frame"}
	}
	return err
}

// window looks for whole frames at any offset, holding a bounded part of the file.
type window struct {
	file  file
	start int64 // where to look next

	buf  []byte // bytes read from base on
	base int64
	eof  bool // buf reaches the file's end
}

const windowSize = 1 << 18

// frame gives kind and end of the whole frame at start, kind 0 if there is none, io.EOF at the file's end.
func (w *window) frame() (kind byte, end int64, err error) {
	if err := w.fill(); err != nil {
		return 0, 0, err
	}
	view := w.buf[w.start-w.base:]
	if len(view) == 0 {
		return 0, 0, io.EOF
	}
	if len(view) < frameOverhead {
		return 0, 0, nil
	}
	kind, length, ok := parseHead(view)
	if !ok || !knownKind(kind) || len(view) < length+frameOverhead {
		return 0, 0, nil
	}
	body := view[:frameHead+length]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(view[len(body):]) {
		return 0, 0, nil
	}
	return kind, w.start + int64(length+frameOverhead), nil
}

// fill makes sure that a largest frame at start lies in buf, unless the file ends before.
func (w *window) fill() error {
	if w.buf != nil && (w.eof || w.start+maxPayload+frameOverhead <= w.base+int64(len(w.buf))) {
		return nil
	}
	if w.buf == nil {
		w.buf = make([]byte, windowSize)
	}
	n, err := w.file.ReadAt(w.buf[:windowSize], w.start)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	w.buf, w.base, w.eof = w.buf[:n], w.start, err != nil
	return nil
}

// end gives the file's size once frame answered io.EOF.
func (w *window) end() int64 { return w.base + int64(len(w.buf)) }
