package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// mqttClient is as much of MQTT 3.1.1 as one subscriber at quality of service 0 needs. Being in this process it is
// the fastest subscriber the other side can get, on the same clock as ours.
type mqttClient struct {
	conn net.Conn
	in   *bufio.Reader
}

// Packet types (MQTT 3.1.1 section 2.2.1), shifted into place, with the flags each demands.
const (
	mqttConnect   = 1 << 4
	mqttPublish   = 3 << 4
	mqttSubscribe = 8<<4 | 2
)

func dialMQTT(addr string) (*mqttClient, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("reach the broker: %w", err)
	}
	c := &mqttClient{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	// Protocol level 4, a clean session, no keep-alive.
	hello := append(mqttText("MQTT"), 4, 2, 0, 0)
	if err := c.send(mqttConnect, append(hello, mqttText("bench")...)); err != nil {
		return nil, err
	}
	if _, ack, err := c.read(); err != nil || len(ack) != 2 || ack[1] != 0 {
		return nil, fmt.Errorf("the broker refused the connection: % x, %w", ack, err)
	}
	return c, nil
}

func mqttText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func (c *mqttClient) send(kind byte, body []byte) error {
	packet := binary.AppendUvarint([]byte{kind}, uint64(len(body))) // section 2.2.3 counts as LEB128 does
	if _, err := c.conn.Write(append(packet, body...)); err != nil {
		return fmt.Errorf("write to the broker: %w", err)
	}
	return nil
}

func (c *mqttClient) subscribe(filter string) error {
	body := append([]byte{0, 1}, mqttText(filter)...)
	return c.send(mqttSubscribe, append(body, 0))
}

func (c *mqttClient) publish(topic, payload string) error {
	return c.send(mqttPublish, append(mqttText(topic), payload...))
}

func (c *mqttClient) read() (kind byte, body []byte, err error) {
	if kind, err = c.in.ReadByte(); err != nil {
		return 0, nil, fmt.Errorf("read from the broker: %w", err)
	}
	n, err := binary.ReadUvarint(c.in)
	if err != nil || n > 1<<28 {
		return 0, nil, fmt.Errorf("read from the broker: length %d: %w", n, err)
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return 0, nil, fmt.Errorf("read from the broker: %w", err)
	}
	return kind, body, nil
}

// next gives the next published message.
func (c *mqttClient) next() (topic string, payload []byte, err error) {
	for {
		kind, body, err := c.read()
		if err != nil {
			return "", nil, err
		}
		if kind&0xf0 != mqttPublish || len(body) < 2 {
			continue
		}
		if n := 2 + int(binary.BigEndian.Uint16(body)); n <= len(body) {
			return string(body[2:n]), body[n:], nil
		}
	}
}

func (c *mqttClient) close() error { return c.conn.Close() }
