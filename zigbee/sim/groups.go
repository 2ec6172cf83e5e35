package sim

import (
	"bytes"
	"slices"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

const (
	groupNameLen = 16 // with its length byte
	maxGroups    = 16
	apsTableFull = 0xB2
	apsDuplicate = 0xB8
)

// addGroup puts an endpoint of the stick into a group.
func (s *Stick) addGroup(m mt.ZDOExtAddGroup) uint8 {
	if slices.ContainsFunc(s.groups, func(g group) bool { return g.endpoint == m.Endpoint && g.id == m.Group }) {
		return apsDuplicate
	}
	if len(s.groups) == maxGroups {
		return apsTableFull
	}
	name := bytes.Clone(m.Name[:min(len(m.Name), groupNameLen-1)])
	s.groups = append(s.groups, group{m.Endpoint, m.Group, name})
	return nv.Success
}

func (s *Stick) removeGroups(which func(group) bool) uint8 {
	before := len(s.groups)
	s.groups = slices.DeleteFunc(s.groups, which)
	if len(s.groups) == before {
		return uint8(mt.Failure)
	}
	return nv.Success
}
