package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// MaxFrame is the largest frame payload in bytes, without its length prefix. A peer that announces more is cut
// off before a byte of it is stored.
const MaxFrame = 64 << 10

// maxPrefix is the longest length prefix: three groups of seven bits carry MaxFrame.
const maxPrefix = 3

// frameArray2 is the CBOR head of the two-element array every payload is: [kind, fields].
const frameArray2 = 0x82

var (
	// ErrFrameSize says that a frame is empty or longer than MaxFrame.
	ErrFrameSize = errors.New("frame size out of bounds")
	// ErrFrame says that a frame's bytes break docs/protocol/sub.md or docs/protocol/enrol.md.
	ErrFrame = errors.New("malformed frame")
)

// The two modes are set up once; the options are constants, so an error here can only be a programming mistake
// and every test of the package would show it.
var (
	frameEnc = mustMode(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
	}.EncMode())
	frameDec = mustMode(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  4,
		MaxArrayElements: 4096,
		MaxMapPairs:      4096,
	}.DecMode())
)

func mustMode[M any](m M, err error) M {
	if err != nil {
		panic(err)
	}
	return m
}

// appendFrame appends one whole frame, prefix included, of the given kind.
func appendFrame(dst []byte, kind frameKind, fields any) ([]byte, error) {
	b, err := frameEnc.Marshal(fields)
	if err != nil {
		return dst, fmt.Errorf("encoding a %s frame: %w", kind, err)
	}
	n := 2 + len(b)
	if n > MaxFrame {
		return dst, fmt.Errorf("%s frame of %d bytes: %w", kind, n, ErrFrameSize)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = append(dst, frameArray2, byte(kind))
	return append(dst, b...), nil
}

// appendRecordFrame appends a data frame (withPrev) or a snapshot frame. It gives the bytes appendFrame would,
// without reflection: this is the one frame sent thousands of times a second.
func appendRecordFrame(dst []byte, kind frameKind, device string, seq, prev uint64, body []byte) ([]byte, error) {
	withPrev := kind == kindData
	n := 3 + 1 + cborHeadLen(uint64(len(device))) + len(device) + 1 + cborHeadLen(seq) +
		1 + cborHeadLen(uint64(len(body))) + len(body)
	pairs := byte(3)
	if withPrev {
		n += 1 + cborHeadLen(prev)
		pairs = 4
	}
	if n > MaxFrame {
		return dst, fmt.Errorf("%s frame of %d bytes: %w", kind, n, ErrFrameSize)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = append(dst, frameArray2, byte(kind), cborMap|pairs, keyDevice)
	dst = append(appendCBORHead(dst, cborText, uint64(len(device))), device...)
	dst = appendCBORHead(append(dst, keySeq), cborUint, seq)
	if withPrev {
		dst = appendCBORHead(append(dst, keyPrev), cborUint, prev)
	}
	dst = appendCBORHead(append(dst, keyBody), cborBytes, uint64(len(body)))
	return append(dst, body...), nil
}

// Major types of RFC 8949 section 3.1, shifted into place.
const (
	cborUint  = 0 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborMap   = 5 << 5
)

func cborHeadLen(v uint64) int {
	switch {
	case v < 24:
		return 1
	case v < 1<<8:
		return 2
	case v < 1<<16:
		return 3
	case v < 1<<32:
		return 5
	}
	return 9
}

func appendCBORHead(dst []byte, major byte, v uint64) []byte {
	switch cborHeadLen(v) {
	case 1:
		return append(dst, major|byte(v))
	case 2:
		return append(dst, major|24, byte(v))
	case 3:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(v))
	case 5:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), v)
}

// frameReader takes frames off a stream. Between frames it keeps no more than two small buffers, so that a
// thousand streams that once carried a large frame do not hold its memory.
type frameReader struct {
	r   *bufio.Reader
	buf []byte
}

// Sizes of a reader's buffers, by what the other side mostly sends.
const (
	readSmall  = 512  // a hello, then credit
	readRecord = 4096 // records
	keepFrame  = 4096
)

func newFrameReader(r io.Reader, size int) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, size)}
}

// await blocks until the first byte of a frame is there, so that a caller can allow silence between frames
// and still put a deadline on a frame that has begun.
func (f *frameReader) await() error {
	_, err := f.r.Peek(1)
	return err
}

// next returns the next frame; fields is valid until the following call.
func (f *frameReader) next() (kind frameKind, fields []byte, err error) {
	n, err := f.length()
	if err != nil {
		return 0, nil, err
	}
	b := f.space(n)
	if _, err := io.ReadFull(f.r, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return splitFrame(b)
}

func (f *frameReader) space(n int) []byte {
	if n > keepFrame {
		return make([]byte, n)
	}
	if cap(f.buf) < n {
		f.buf = make([]byte, max(n, 256))
	}
	return f.buf[:n]
}

// length reads the prefix: an unsigned LEB128 number in its shortest form.
func (f *frameReader) length() (int, error) {
	n := 0
	for i := range maxPrefix {
		b, err := f.r.ReadByte()
		if err != nil {
			if i > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		n |= int(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			if n == 0 || n > MaxFrame || (i > 0 && b == 0) {
				return 0, fmt.Errorf("length prefix %d: %w", n, ErrFrameSize)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("length prefix longer than %d bytes: %w", maxPrefix, ErrFrameSize)
}

// splitFrame takes a payload apart without looking into the fields.
func splitFrame(b []byte) (frameKind, []byte, error) {
	if len(b) < 3 || b[0] != frameArray2 || b[1] >= 24 {
		return 0, nil, fmt.Errorf("payload is not [kind, fields]: %w", ErrFrame)
	}
	return frameKind(b[1]), b[2:], nil
}

// decodeFields decodes strictly into dst: no duplicate keys, no indefinite lengths, no tags, nothing after the
// value. Unknown keys are passed over so that a later minor version can add one.
func decodeFields(kind frameKind, b []byte, dst any) error {
	if err := frameDec.Unmarshal(b, dst); err != nil {
		return fmt.Errorf("%s frame: %w: %w", kind, ErrFrame, err)
	}
	return nil
}
