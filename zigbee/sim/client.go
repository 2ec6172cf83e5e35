package sim

import (
	"context"
	"time"
)

// Sensors lists the simulated sensors.
func (c *Client) Sensors(ctx context.Context) ([]SensorState, error) {
	r, err := c.Do(ctx, Request{Op: "sensors"})
	return r.Sensors, err
}

// Stats gives the counters.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	r, err := c.Do(ctx, Request{Op: "stats"})
	if r.Stats == nil {
		return Stats{}, err
	}
	return *r.Stats, err
}

// Status tells whether the stick is on a network, and how many endpoints the host has registered.
func (c *Client) Status(ctx context.Context) (running bool, endpoints int, err error) {
	r, err := c.Do(ctx, Request{Op: "status"})
	return r.Running, r.Endpoints, err
}

// Set gives a property a value, which the sensor reports at once. value is a number or a bool.
func (c *Client) Set(ctx context.Context, sensor, property string, value any) error {
	return c.act(ctx, Request{Op: "set", Sensor: sensor, Property: property, Value: value})
}

// Join lets a sensor join, if joining is open; a member announces itself anew.
func (c *Client) Join(ctx context.Context, sensor string) error {
	return c.act(ctx, Request{Op: "join", Sensor: sensor})
}

// Leave makes a sensor leave of its own accord.
func (c *Client) Leave(ctx context.Context, sensor string) error {
	return c.act(ctx, Request{Op: "leave", Sensor: sensor})
}

// Move gives a sensor a new short address.
func (c *Client) Move(ctx context.Context, sensor string) error {
	return c.act(ctx, Request{Op: "move", Sensor: sensor})
}

// Press presses the sensor's button: it reports all it measures.
func (c *Client) Press(ctx context.Context, sensor string) error {
	return c.act(ctx, Request{Op: "press", Sensor: sensor})
}

// Load starts or stops a load.
func (c *Client) Load(ctx context.Context, l Load) error {
	return c.act(ctx, Request{Op: "load", Load: &l})
}

// Pause stops the schedules of all sensors.
func (c *Client) Pause(ctx context.Context) error { return c.act(ctx, Request{Op: "pause"}) }

// Resume lets the schedules go on.
func (c *Client) Resume(ctx context.Context) error { return c.act(ctx, Request{Op: "resume"}) }

// Faults replaces the faults.
func (c *Client) Faults(ctx context.Context, f Faults) error {
	return c.act(ctx, Request{Op: "faults", Faults: &f})
}

// Stray puts one lone start byte on the line.
func (c *Client) Stray(ctx context.Context) error { return c.act(ctx, Request{Op: "stray"}) }

// Reset crashes the stick's firmware, which restarts.
func (c *Client) Reset(ctx context.Context) error { return c.act(ctx, Request{Op: "reset"}) }

// Stall makes the stick neither read nor write for a while.
func (c *Client) Stall(ctx context.Context, d time.Duration) error {
	return c.act(ctx, Request{Op: "stall", Seconds: d.Seconds()})
}

// Unplug takes the stick out of its port for a while.
func (c *Client) Unplug(ctx context.Context, d time.Duration) error {
	return c.act(ctx, Request{Op: "unplug", Seconds: d.Seconds()})
}

func (c *Client) act(ctx context.Context, q Request) error {
	_, err := c.Do(ctx, q)
	return err
}
