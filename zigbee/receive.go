package zigbee

import (
	"context"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// endpointGreenPower is where Green Power messages go (Green Power specification 14-0563, section A.3.6).
const endpointGreenPower zb.Endpoint = 0xf2

// receive takes one application message.
func (n *Network) receive(m incoming, now time.Time) {
	from, known := n.table.heardFrom(m, now)
	switch {
	case !known && m.source == addressUnknown:
		n.counters.strangerFrames.Add(1)
		return
	case !known:
		n.receiveStranger(m, now)
		return
	case from.copied:
		n.counters.copies.Add(1)
		return
	}
	n.tapMessage(from.device, m)
	if from.resume {
		n.schedule.at(from.device.IEEE, now)
	}
	if m.endpoint == endpointGreenPower || m.sourceEndpoint == endpointGreenPower {
		return // another protocol, which routers forward to the stick
	}
	f, err := zcl.Decode(m.data)
	if err != nil {
		n.counters.badFrames.Add(1)
		n.log.Debug("message is no ZCL frame", "device", from.device.IEEE, "cluster", m.cluster, "error", err)
		return
	}
	if deliver, ok := n.exchanges.match(from.device.IEEE, m.cluster, f); ok {
		// The asker must find the table as the answer leaves it.
		n.report(from.device, m, f, now)
		deliver()
		return
	}
	n.report(from.device, m, f, now)
	n.answer(from.device, m, f, now)
}

// receiveStranger keeps a frame from an unknown address and asks who that is.
func (n *Network) receiveStranger(m incoming, now time.Time) {
	ask, dropped := n.strangers.add(m, now)
	n.counters.strangerFrames.Add(uint64(dropped))
	if !ask {
		return
	}
	n.lookups.try(func(ctx context.Context) {
		ieee, err := n.radio.IEEEAddress(ctx, m.source)
		if err != nil {
			n.log.Debug("unknown sender does not say who it is", "address", m.source, "error", err)
			return
		}
		n.identified(ieee, m.source)
	})
}

// identified puts a device at the address it was found at and takes what it sent until now.
func (n *Network) identified(ieee zb.IEEEAddress, address zb.NetworkAddress) {
	if !n.table.moved(ieee, address) {
		// The stick knows the device from before this table: it was adopted with its network.
		n.announce(announced{device: ieee, address: address}, time.Now())
		return
	}
	n.replay(address)
}

// replay takes the frames kept for an address that is known now.
func (n *Network) replay(address zb.NetworkAddress) {
	for _, m := range n.strangers.take(address) {
		n.take(m)
	}
}

// answer sends what the frame calls for: a response of its own, a default response, or nothing.
func (n *Network) answer(d Device, m incoming, f zcl.Frame, now time.Time) {
	reply, ok := replyTo(d, m, f, now)
	if !ok {
		return
	}
	to := target{device: d.IEEE, endpoint: m.sourceEndpoint, cluster: m.cluster, local: m.endpoint}
	if to.local == broadcastEndpoint {
		to.local = localEndpoint
	}
	queued := n.replies.try(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, responseTimeout)
		defer cancel()
		if err := n.send(ctx, to, reply); err != nil {
			n.log.Debug("answer not delivered", "device", d.IEEE, "cluster", m.cluster, "error", err)
		}
	})
	if !queued {
		n.counters.droppedReplies.Add(1)
	}
}

// replyTo makes the answer to a frame that no request of ours asked for.
func replyTo(d Device, m incoming, f zcl.Frame, now time.Time) (zcl.Frame, bool) {
	broadcast := m.broadcast || m.group != 0
	if f.Type == zcl.ClusterSpecific {
		if own, ok := clusterReply(d, m.cluster, f); ok {
			return own, true
		}
		// Commands with and without a meaning here are all taken: a refusal makes some sensors stop sending.
		return defaultResponse(f, zcl.StatusSuccess), !f.DisableDefaultResponse && !broadcast
	}
	switch f.Command {
	case zcl.CommandReadAttributes:
		return readReply(m.cluster, f, now)
	case zcl.CommandReportAttributes:
		return defaultResponse(f, zcl.StatusSuccess), !f.DisableDefaultResponse && !broadcast
	case zcl.CommandWriteAttributes, zcl.CommandWriteUndivided, zcl.CommandConfigureReporting,
		zcl.CommandReadReporting, zcl.CommandDiscoverAttributes:
		return defaultResponse(f, zcl.StatusUnsupGeneralCommand), !broadcast
	}
	return zcl.Frame{}, false // a response is not answered (ZCL section 2.5.12.2)
}

// Commands answered here beside those of the IAS zone.
const (
	checkIn           = 0x00 // poll control, from the sensor (ZCL section 3.16.5.3)
	checkInResponse   = 0x00
	nextImageRequest  = 0x01 // OTA upgrade, from the sensor (ZCL section 11.13.4)
	nextImageResponse = 0x02
	fastPollTime      = 4 * 30 // quarter seconds
	broadcastEndpoint = zb.Endpoint(0xff)
)

// clusterReply answers the commands that have an answer of their own.
func clusterReply(d Device, cluster zb.ClusterID, f zcl.Frame) (zcl.Frame, bool) {
	switch {
	case uint16(cluster) == zcl.ClusterIASZone && f.FromServer && f.Command == zcl.CommandZoneEnrollRequest:
		return f.Reply(zcl.CommandZoneEnrollResponse, enrolled.Append(nil)), true
	case uint16(cluster) == zcl.ClusterPollControl && f.FromServer && f.Command == checkIn:
		// A sleeping device that is still being asked things stays awake for them.
		if d.Interview == InterviewDone {
			return f.Reply(checkInResponse, []byte{0, 0, 0}), true
		}
		return f.Reply(checkInResponse, []byte{1, fastPollTime, 0}), true
	case uint16(cluster) == zcl.ClusterOTA && !f.FromServer && f.Command == nextImageRequest:
		return f.Reply(nextImageResponse, []byte{byte(zcl.StatusNoImageAvailable)}), true
	}
	return zcl.Frame{}, false
}

func defaultResponse(f zcl.Frame, status zcl.Status) zcl.Frame {
	r := f.Reply(zcl.CommandDefaultResponse, zcl.DefaultResponse{Command: f.Command, Status: status}.Append(nil))
	r.Type = zcl.ProfileWide
	return r
}

// readReply answers a device that reads the stick's own attributes; those it has are the time's.
func readReply(cluster zb.ClusterID, f zcl.Frame, now time.Time) (zcl.Frame, bool) {
	ids, err := zcl.DecodeReadRequest(f.Payload)
	if err != nil {
		return defaultResponse(f, zcl.StatusMalformedCommand), true
	}
	records := make([]zcl.ReadRecord, 0, len(ids))
	for _, id := range ids {
		r := zcl.ReadRecord{Status: zcl.StatusUnsupportedAttribute, Attribute: zcl.Attribute{ID: id}}
		if a, ok := timeAttribute(id, now); ok && uint16(cluster) == zcl.ClusterTime && f.Manufacturer == 0 {
			r = zcl.ReadRecord{Attribute: a}
		}
		records = append(records, r)
	}
	payload, err := zcl.AppendReadResponse(nil, records)
	if err != nil {
		return defaultResponse(f, zcl.StatusFailure), true
	}
	return f.Reply(zcl.CommandReadAttributesResponse, payload), true
}

// zigbeeEpoch is the origin of ZCL's UTC time (ZCL section 2.6.2.20).
var zigbeeEpoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// timeAttribute gives an attribute of the Time cluster (ZCL section 3.12.2.2).
func timeAttribute(id uint16, now time.Time) (zcl.Attribute, bool) {
	utc := now.Unix() - zigbeeEpoch.Unix()
	_, zone := now.Local().Zone()
	switch id {
	case 0x0000: // time
		return zcl.Attribute{ID: id, Type: zcl.TypeUTC, Value: utc}, true
	case 0x0001: // time status: a master clock, synchronised
		return zcl.Attribute{ID: id, Type: zcl.TypeBitmap8, Value: 0x03}, true
	case 0x0002: // time zone, daylight saving time included
		return zcl.Attribute{ID: id, Type: zcl.TypeInt32, Value: zone}, true
	case 0x0006, 0x0007: // standard time, local time
		return zcl.Attribute{ID: id, Type: zcl.TypeUint32, Value: utc + int64(zone)}, true
	}
	return zcl.Attribute{}, false
}
