package mt

import (
	"encoding/binary"
	"errors"
	"fmt"

	zb "github.com/shimmeringbee/zigbee"
)

// ErrShort says that a payload ends before its last mandatory field.
var ErrShort = errors.New("payload too short")

// ErrTooLong says that a list or string of a message does not fit its length field.
var ErrTooLong = errors.New("list too long for its length field")

// codec walks the fields of a message, reading them from or writing them to buf, so that one description per
// message serves both directions. After the first error every step does nothing.
type codec struct {
	buf      []byte // decoding: what is left; encoding: what is written so far
	decoding bool
	err      error
}

// take gives the next n bytes while decoding, nil when there are fewer.
func (c *codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if len(c.buf) < n {
		c.err = ErrShort
		return nil
	}
	b := c.buf[:n:n]
	c.buf = c.buf[n:]
	return b
}

// excuse forgives missing fields of an answer whose status tells of an error: sticks cut those short.
func (c *codec) excuse(s Status) {
	if c.decoding && s != Success && errors.Is(c.err, ErrShort) {
		c.err = nil
	}
}

func u8[T ~uint8](c *codec, v *T) {
	if !c.decoding {
		c.buf = append(c.buf, byte(*v))
		return
	}
	if b := c.take(1); b != nil {
		*v = T(b[0])
	}
}

func u16[T ~uint16](c *codec, v *T) {
	if !c.decoding {
		c.buf = binary.LittleEndian.AppendUint16(c.buf, uint16(*v))
		return
	}
	if b := c.take(2); b != nil {
		*v = T(binary.LittleEndian.Uint16(b))
	}
}

func u32(c *codec, v *uint32) {
	if !c.decoding {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, *v)
		return
	}
	if b := c.take(4); b != nil {
		*v = binary.LittleEndian.Uint32(b)
	}
}

func u64[T ~uint64](c *codec, v *T) {
	if !c.decoding {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, uint64(*v))
		return
	}
	if b := c.take(8); b != nil {
		*v = T(binary.LittleEndian.Uint64(b))
	}
}

// flag is one byte, zero for false.
func flag(c *codec, v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	u8(c, &b)
	*v = b != 0
}

// length8 and length16 carry the length of what follows.
func length8(c *codec, n int) int {
	if !c.decoding && n > 0xFF {
		c.err = ErrTooLong
		return 0
	}
	b := uint8(n)
	u8(c, &b)
	return int(b)
}

func length16(c *codec, n int) int {
	if !c.decoding && n > 0xFFFF {
		c.err = ErrTooLong
		return 0
	}
	b := uint16(n)
	u16(c, &b)
	return int(b)
}

// raw carries exactly n bytes. While decoding, v becomes a part of the payload.
func raw(c *codec, v *[]byte, n int) {
	if c.decoding {
		*v = c.take(n)
		return
	}
	c.buf = append(c.buf, *v...)
}

func bytes8(c *codec, v *[]byte)  { raw(c, v, length8(c, len(*v))) }
func bytes16(c *codec, v *[]byte) { raw(c, v, length16(c, len(*v))) }

// rest carries everything up to the end of the payload.
func rest(c *codec, v *[]byte) { raw(c, v, len(c.buf)) }

// list8 is a list with a one byte count before it; each element is carried by one.
func list8[T any](c *codec, v *[]T, one func(*codec, *T)) {
	n := length8(c, len(*v))
	if c.decoding {
		*v = nil
	}
	for i := 0; i < n && c.err == nil; i++ {
		if c.decoding {
			var e T
			if one(c, &e); c.err == nil {
				*v = append(*v, e)
			}
			continue
		}
		one(c, &(*v)[i])
	}
}

func clusters(c *codec, v *[]zb.ClusterID) { list8(c, v, u16[zb.ClusterID]) }

// Append appends the message's payload to dst.
func Append(dst []byte, m Message) ([]byte, error) {
	c := codec{buf: dst}
	m.fields(&c)
	if c.err != nil {
		return dst, fmt.Errorf("encode %s: %w", m.Command(), c.err)
	}
	return c.buf, nil
}

// Decode fills m from a payload. Byte slices in m are parts of payload afterwards. Bytes after the last known
// field are ignored, since newer firmware appends fields. The only error is ErrShort.
func Decode(payload []byte, m Message) error {
	c := codec{buf: payload, decoding: true}
	m.fields(&c)
	if c.err != nil {
		return fmt.Errorf("decode %s of %d bytes: %w", m.Command(), len(payload), c.err)
	}
	return nil
}
