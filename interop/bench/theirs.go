package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// theirs is zigbee2mqtt with mosquitto, and one MQTT subscriber: no TLS, no history.
type theirs struct {
	node, packages, dir string // Node, the folder of its packages, the working folder
	watchdog            bool   // zigbee2mqtt restarts itself
	arrivals            *arrivals
	broker, gateway     *process
	mqtt                *mqttClient
	online              chan struct{}
	configured          chan string // sensors, 16 hex digits
}

func newTheirs(ctx context.Context, node, packages, dir, port string, a *arrivals) (*theirs, error) {
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	t := &theirs{node: node, packages: packages, dir: dir, arrivals: a, online: make(chan struct{}, 16), configured: make(chan string, 64)}
	if err := t.configure(listen, port); err != nil {
		return nil, err
	}
	if t.broker, err = spawn(filepath.Join(dir, "mosquitto.log"), nil, "mosquitto", "-c", filepath.Join(dir, "mosquitto.conf")); err != nil {
		return nil, err
	}
	err = poll(ctx, startLimit, 20*time.Millisecond, "mosquitto", func() bool {
		t.mqtt, err = dialMQTT(fmt.Sprintf("127.0.0.1:%d", listen))
		return err == nil || !t.broker.running()
	})
	if err == nil && t.mqtt == nil {
		err = errors.New("mosquitto did not start")
	}
	if err == nil {
		err = t.mqtt.subscribe("zigbee2mqtt/#")
	}
	if err != nil {
		return nil, errors.Join(err, t.broker.stop())
	}
	go t.receive()
	return t, nil
}

// configure writes the configuration files: as few settings as it takes, and a log that is not in the way.
func (t *theirs) configure(listen int, port string) error {
	converter, err := os.ReadFile(filepath.Join(t.packages, "..", "converter.mjs"))
	if err != nil {
		return fmt.Errorf("read the converter: %w", err)
	}
	data := filepath.Join(t.dir, "data")
	files := map[string]string{
		filepath.Join(t.dir, "mosquitto.conf"): fmt.Sprintf(
			"listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nuser root\n", listen),
		filepath.Join(data, "configuration.yaml"): fmt.Sprintf(`version: 5
homeassistant: {enabled: false}
frontend: {enabled: false}
availability: {enabled: false}
mqtt: {base_topic: zigbee2mqtt, server: "mqtt://127.0.0.1:%d"}
serial: {port: %q, adapter: zstack}
advanced:
  log_output: [console]
  log_level: info
  log_namespaced_levels: {"z2m:mqtt": warning}
  channel: 15
  network_key: [1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 13]
  pan_id: 6974
  ext_pan_id: [222, 173, 190, 239, 1, 2, 3, 4]
`, listen, port),
		filepath.Join(data, "external_converters", "sim.mjs"): string(converter),
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("make the data folder: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
	}
	// zigbee2mqtt links the folder of packages within its own for converters, which npm puts beside it.
	if err := os.MkdirAll(filepath.Join(t.packages, "zigbee2mqtt", "node_modules"), 0o755); err != nil { //nolint:gosec // no secret
		return fmt.Errorf("make the folder of packages: %w", err)
	}
	if err := os.Symlink(t.packages, filepath.Join(data, "node_modules")); err != nil {
		return fmt.Errorf("link the packages: %w", err)
	}
	return nil
}

// receive takes what the broker sends until the connection is closed.
func (t *theirs) receive() {
	for {
		topic, payload, err := t.mqtt.next()
		if err != nil {
			return
		}
		switch name := strings.TrimPrefix(topic, "zigbee2mqtt/"); {
		case name == "bridge/logging":
			t.logged(string(payload))
		case strings.HasPrefix(name, "0x"):
			t.take(strings.TrimPrefix(name, "0x"), payload)
		}
	}
}

// logged takes a line of the log. The state topic says online earlier, before requests are heard.
func (t *theirs) logged(line string) {
	if strings.Contains(line, "Zigbee2MQTT started!") {
		t.online <- struct{}{}
	}
	if _, rest, ok := strings.Cut(line, "Successfully configured '0x"); ok && len(rest) >= 16 {
		t.configured <- rest[:16]
	}
}

func (t *theirs) take(device string, payload []byte) {
	var m struct {
		Temperature float64 `json:"temperature"`
		Stamp       string  `json:"stamp"`
	}
	if err := json.Unmarshal(payload, &m); err != nil || m.Temperature == 0 {
		return
	}
	stamp, err := strconv.ParseInt(m.Stamp, 10, 64)
	if err != nil {
		stamp = 0 // no report of this load is stamped
	}
	t.arrivals.take(device, int64(math.Round(m.Temperature*100)), stamp)
}

func (t *theirs) start(ctx context.Context) (err error) {
	for len(t.online) > 0 {
		<-t.online
	}
	env := []string{
		"ZIGBEE2MQTT_DATA=" + filepath.Join(t.dir, "data"),
		"NODE_ENV=production",
		"GIT_DIR=/nonexistent", // it would take this repository's commit for its own and rebuild itself
	}
	if t.watchdog {
		env = append(env, "Z2M_WATCHDOG=default")
	}
	if t.gateway, err = spawn(filepath.Join(t.dir, "zigbee2mqtt.log"), env, t.node, filepath.Join(t.packages, "zigbee2mqtt", "index.js")); err != nil {
		return err
	}
	select {
	case <-t.online:
		return nil
	case <-t.gateway.done:
		return errors.New("zigbee2mqtt ended")
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startLimit):
		return fmt.Errorf("zigbee2mqtt was not online within %v", startLimit)
	}
}

func (t *theirs) pair(ctx context.Context, ieee string, join func() error) error {
	open := func() error { return t.mqtt.publish("zigbee2mqtt/bridge/request/permit_join", `{"time":254}`) }
	if err := joinWhenOpen(ctx, join, open); err != nil {
		return err
	}
	late := time.After(pairLimit)
	for {
		select {
		case got := <-t.configured:
			if got == ieee {
				return nil
			}
		case <-late:
			return fmt.Errorf("%s was not configured within %v", ieee, pairLimit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *theirs) subscribe(context.Context) error { return nil }

func (t *theirs) parts() []*process { return []*process{t.gateway, t.broker} }

func (t *theirs) stop() error { return t.gateway.stop() }

func (t *theirs) close() error { return errors.Join(t.stop(), t.mqtt.close(), t.broker.stop()) }
