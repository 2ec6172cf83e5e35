package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/store"
)

// learnFromStore brings back what the properties of a device's latest values mean, from the descriptors they were
// stored with.
func (g *Gateway) learnFromStore(ctx context.Context, l store.Latest) error {
	seen := map[string]bool{"": true}
	for _, v := range l.Values {
		if seen[v.Desc] {
			continue
		}
		seen[v.Desc] = true
		b, err := g.store.Descriptor(ctx, v.Desc)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		d, err := reading.DecodeDescriptor(b)
		if err != nil {
			return fmt.Errorf("stored descriptor %s: %w", v.Desc, err)
		}
		g.roster.learn(l.Device, d.Properties...)
	}
	return nil
}
