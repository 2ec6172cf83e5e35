package profile

import (
	"encoding/binary"
	"strconv"
)

// Tags of encoded values.
const (
	tagNone = iota
	tagFalse
	tagTrue
	tagNumber
	tagText
)

// Flags of an encoded property.
const (
	flagRange = 1 << iota
	flagValues
	flagRules
)

// Flags of an encoded rule. What a flag is not set for has the zero value and takes no bytes.
const (
	flagEndpoint = 1 << iota
	flagManufacturer
	flagClient
	flagParam
	flagWhole
	flagBounded
	flagDefault
)

// chunks encodes a profile's properties one by one: equal pieces of different profiles are equal bytes, which the
// dictionary makes cheap.
func chunks(p *Profile) [][]byte {
	list := make([][]byte, 0, len(p.Properties))
	for i := range p.Properties {
		list = append(list, appendProperty(nil, &p.Properties[i]))
	}
	return list
}

func appendProperty(b []byte, p *Property) []byte {
	b = appendText(b, p.Name)
	var flags byte
	if p.HasRange {
		flags |= flagRange
	}
	if len(p.Values) > 0 {
		flags |= flagValues
	}
	if len(p.Rules) > 0 {
		flags |= flagRules
	}
	b = append(b, byte(p.Type), byte(p.Access), flags)
	b = appendText(b, p.Unit)
	if p.HasRange {
		b = appendNumber(appendNumber(b, p.Min), p.Max)
	}
	if len(p.Values) > 0 {
		b = binary.AppendUvarint(b, uint64(len(p.Values)))
		for _, v := range p.Values {
			b = appendText(b, v)
		}
	}
	if len(p.Rules) > 0 {
		b = binary.AppendUvarint(b, uint64(len(p.Rules)))
		for i := range p.Rules {
			b = appendRule(b, &p.Rules[i])
		}
	}
	return b
}

func appendRule(b []byte, r *Rule) []byte {
	b = append(b, byte(r.Source)<<4|byte(r.Kind), ruleFlags(r))
	b = binary.LittleEndian.AppendUint16(b, r.Cluster)
	b = binary.LittleEndian.AppendUint16(b, r.ID)
	if r.Source == TLV {
		b = append(b, r.Tag)
	}
	if r.Endpoint != 0 {
		b = append(b, r.Endpoint)
	}
	if r.Manufacturer != 0 {
		b = binary.LittleEndian.AppendUint16(b, r.Manufacturer)
	}
	if r.Param.Size != 0 {
		b = append(b, r.Param.Offset, r.Param.Size)
	}
	if r.HasDefault {
		b = appendValue(b, r.Default)
	}
	switch r.Kind {
	case Linear:
		b = appendNumber(appendNumber(appendNumber(b, r.Mul), r.Div), r.Add)
	case Ratio:
		b = appendNumber(appendNumber(b, r.Mul), r.Div)
	case Bits:
		b = appendValue(appendValue(binary.AppendUvarint(b, uint64(r.Mask)), r.On), r.Off)
	case Const:
		b = appendValue(b, r.On)
	case Map:
		b = binary.AppendUvarint(b, uint64(len(r.Entries)))
		for _, e := range r.Entries {
			b = appendValue(binary.AppendVarint(b, e.Key), e.Value)
		}
	case Curve:
		b = binary.AppendUvarint(b, uint64(len(r.Points)))
		for _, p := range r.Points {
			b = appendNumber(appendNumber(b, p.X), p.Y)
		}
	}
	return b
}

func ruleFlags(r *Rule) (flags byte) {
	for i, set := range []bool{
		r.Endpoint != 0, r.Manufacturer != 0, r.FromClient, r.Param.Size != 0, r.Whole, r.Bounded, r.HasDefault,
	} {
		if set {
			flags |= 1 << i
		}
	}
	return flags
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendNumber writes the shortest decimal: it is exact, and compresses better than eight bytes.
func appendNumber(b []byte, v float64) []byte {
	return appendText(b, strconv.FormatFloat(v, 'g', -1, 64))
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case float64:
		return appendNumber(append(b, tagNumber), v)
	case string:
		return appendText(append(b, tagText), v)
	}
	return append(b, tagNone)
}
