package zigbee

import (
	"context"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zdo"
)

// radio is one coordinator stick of any family, in the parts its users need.
type radio interface {
	link
	founder
	messenger
	describer
	binder
	locator
}

// link is the connection to the stick.
type link interface {
	// Serve drives the stick until ctx ends, over as many openings of the port as it takes.
	Serve(context.Context) error
	// Next gives the next of one ordered stream of what the stick hears, or ctx's error.
	Next(context.Context) (radioEvent, error)
	State() State
	Stats() LinkStats
}

// founder decides over the stick's network.
type founder interface {
	Form(context.Context, FormParams) (NetworkParams, error)
	Adopt(context.Context) (NetworkParams, error)
	PermitJoin(context.Context, permission) error
}

// messenger carries application messages.
type messenger interface {
	// Send returns when the message is confirmed or given up.
	Send(context.Context, outgoing) error
	RegisterEndpoint(context.Context, zdo.SimpleDescriptor) error
}

// describer asks a node what it is.
type describer interface {
	NodeDescriptor(context.Context, zb.NetworkAddress) (zdo.NodeDescriptor, error)
	ActiveEndpoints(context.Context, zb.NetworkAddress) ([]zb.Endpoint, error)
	SimpleDescriptor(context.Context, zb.NetworkAddress, zb.Endpoint) (zdo.SimpleDescriptor, error)
}

// binder changes what a node sends to whom.
type binder interface {
	Bind(context.Context, binding) error
	Unbind(context.Context, binding) error
	Leave(ctx context.Context, address zb.NetworkAddress, device zb.IEEEAddress) error
}

// locator finds nodes.
type locator interface {
	NetworkAddress(context.Context, zb.IEEEAddress) (zb.NetworkAddress, error)
	IEEEAddress(context.Context, zb.NetworkAddress) (zb.IEEEAddress, error)
	DiscoverRoute(context.Context, zb.NetworkAddress) error
}

// radioEvent is incoming, announced, left, linkChanged or dropped.
type radioEvent any

// incoming is one application message. Data belongs to the receiver.
type incoming struct {
	time           time.Time         // when it was read; zero: now
	device         zb.IEEEAddress    // of the sender where the stick tells it; else 0
	source         zb.NetworkAddress // addressUnknown where the stick tells only device
	sourceEndpoint zb.Endpoint
	endpoint       zb.Endpoint // of the stick
	cluster        zb.ClusterID
	group          zb.GroupID
	broadcast      bool
	secure         bool
	linkQuality    uint8
	sequence       uint8
	data           []byte
}

// announced says where a device is. From the trust centre it says that the device was just let in.
type announced struct {
	device      zb.IEEEAddress
	address     zb.NetworkAddress
	trustCentre bool
}

// left says that a device left the network. With rejoin it is about to come back.
type left struct {
	device  zb.IEEEAddress
	address zb.NetworkAddress
	rejoin  bool
}

// linkChanged carries the new state of the link.
type linkChanged struct{ state State }

// dropped says that the stick's side gave up messages because this package was slow.
type dropped struct{ count uint64 }

// outgoing is one application message from the stick's endpoint 1.
type outgoing struct {
	device      zb.IEEEAddress // lets a changed address be found
	destination zb.NetworkAddress
	endpoint    zb.Endpoint
	source      zb.Endpoint // of the stick; 0 stands for 1
	cluster     zb.ClusterID
	data        []byte
	noAck       bool // no APS acknowledgement is asked for
}

// binding makes a node's cluster send its reports to an endpoint of the stick.
type binding struct {
	address  zb.NetworkAddress
	device   zb.IEEEAddress
	endpoint zb.Endpoint
	cluster  zb.ClusterID
	local    zb.Endpoint // of the stick
}

// permission opens the network for seconds, 0 closes it; at one router if router is set, else everywhere.
type permission struct {
	seconds     uint8
	router      zb.NetworkAddress
	hasRouter   bool
	coordinator bool // only through the stick itself
}
