package p2p

// relayCircuits bounds the relayed connections one peer can have through a hive, as source or destination.
const relayCircuits = 256

// NewHive builds a hive's host and starts listening.
func NewHive(cfg Config) (*Host, error) {
	cfg.Role = RoleHive
	return buildHost(cfg)
}
