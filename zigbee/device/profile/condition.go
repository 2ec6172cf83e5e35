package profile

import "encoding/binary"

// Flags of an encoded condition.
const (
	flagPlain = 1 << iota
	flagModel
	flagMaker
	flagCode
	flagIEEE
	flagType
	flagPower
	flagFirmware
	flagDate
	flagVersions
	flagPriority
	flagEndpoints
)

func appendCondition(b []byte, c *Condition) []byte {
	at := len(b)
	var flags uint16
	b = append(b, 0, 0)
	text := func(set bool, flag uint16, s string) {
		if set {
			flags |= flag
			b = appendText(b, s)
		}
	}
	if c.Plain {
		flags |= flagPlain
	}
	text(c.HasModel, flagModel, c.Model)
	text(c.HasManufacturer, flagMaker, c.Manufacturer)
	if c.ManufacturerCode != 0 {
		flags |= flagCode
		b = binary.LittleEndian.AppendUint16(b, c.ManufacturerCode)
	}
	text(c.IEEEPrefix != "", flagIEEE, c.IEEEPrefix)
	text(c.Type != "", flagType, c.Type)
	text(c.Power != "", flagPower, c.Power)
	text(c.Firmware != "", flagFirmware, c.Firmware)
	text(c.DateCode != "", flagDate, c.DateCode)
	if c.ApplicationVersion|c.HardwareVersion|c.ZCLVersion != 0 {
		flags |= flagVersions
		for _, v := range []uint16{c.ApplicationVersion, c.HardwareVersion, c.ZCLVersion} {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	if c.Priority != 0 {
		flags |= flagPriority
		b = binary.AppendVarint(b, c.Priority)
	}
	if len(c.Endpoints) > 0 {
		flags |= flagEndpoints
		b = appendEndpoints(b, c.Endpoints)
	}
	binary.LittleEndian.PutUint16(b[at:], flags)
	return b
}

func appendEndpoints(b []byte, list []EndpointCondition) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	clusters := func(set bool, list []uint16) {
		if !set {
			b = binary.AppendUvarint(b, 0)
			return
		}
		b = binary.AppendUvarint(b, uint64(len(list))+1)
		for _, c := range list {
			b = binary.LittleEndian.AppendUint16(b, c)
		}
	}
	for i := range list {
		b = append(b, list[i].ID)
		b = binary.LittleEndian.AppendUint16(b, list[i].Profile)
		b = binary.LittleEndian.AppendUint16(b, list[i].DeviceType)
		clusters(list[i].HasClusters, list[i].Clusters)
		clusters(list[i].HasOutputs, list[i].Outputs)
	}
	return b
}

// condition reads what appendCondition wrote.
func (r *reader) condition() Condition {
	flags := r.uint16()
	text := func(flag uint16) string {
		if flags&flag == 0 {
			return ""
		}
		return r.text()
	}
	c := Condition{
		Plain: flags&flagPlain != 0, HasModel: flags&flagModel != 0, HasManufacturer: flags&flagMaker != 0,
		Model: text(flagModel), Manufacturer: text(flagMaker),
	}
	if flags&flagCode != 0 {
		c.ManufacturerCode = r.uint16()
	}
	c.IEEEPrefix, c.Type, c.Power = text(flagIEEE), text(flagType), text(flagPower)
	c.Firmware, c.DateCode = text(flagFirmware), text(flagDate)
	if flags&flagVersions != 0 {
		c.ApplicationVersion, c.HardwareVersion, c.ZCLVersion = r.uint16(), r.uint16(), r.uint16()
	}
	if flags&flagPriority != 0 {
		c.Priority = r.varint()
	}
	if flags&flagEndpoints != 0 {
		for range r.count() {
			if r.bad {
				break
			}
			c.Endpoints = append(c.Endpoints, r.endpoint())
		}
	}
	return c
}

func (r *reader) endpoint() EndpointCondition {
	e := EndpointCondition{ID: r.byte(), Profile: r.uint16(), DeviceType: r.uint16()}
	clusters := func() (bool, []uint16) {
		n := r.count()
		if n == 0 {
			return false, nil
		}
		list := make([]uint16, 0, n-1)
		for range n - 1 {
			list = append(list, r.uint16())
		}
		return true, list
	}
	e.HasClusters, e.Clusters = clusters()
	e.HasOutputs, e.Outputs = clusters()
	return e
}
