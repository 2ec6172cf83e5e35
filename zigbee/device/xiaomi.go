package device

import "github.com/peerbee/peerbee/zigbee/zcl"

// applyTags interprets an attribute in which Xiaomi's devices hold several values: a tag, a ZCL type and a value,
// one after another. Values with other tags than the profile's are left out: they are not meant to be shown. An
// attribute that gives nothing stays raw.
func (in *Interpreter) applyTags(dst []Measure, endpoint uint8, key attributeKey, a *zcl.Attribute) ([]Measure, bool) {
	before := len(dst)
	for b := taggedBytes(a.Value); len(b) > 2; {
		tag, kind := b[0], zcl.DataType(b[1])
		v, rest, err := zcl.DecodeValue(kind, b[2:])
		if err != nil {
			break
		}
		b = rest
		if zcl.IsInvalid(kind, v) {
			continue
		}
		x, ok := inputOf(v, kind)
		if !ok {
			continue
		}
		for _, r := range in.known.tags[tagKey{key, tag}] {
			if v := r.value(x); v != nil {
				dst = append(dst, in.measure(endpoint, r, v))
			}
		}
	}
	if len(dst) == before {
		dst = append(dst, in.raw(endpoint, key.cluster, a))
	}
	return dst, true
}

// taggedBytes gives the bytes of a string: old devices send the tags in a character string, new ones in octets.
func taggedBytes(v any) []byte {
	switch v := v.(type) {
	case string:
		return []byte(v)
	case []byte:
		return v
	}
	return nil
}
