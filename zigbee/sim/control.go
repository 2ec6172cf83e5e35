package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Request is one line to the control socket; see the package comment.
type Request struct {
	Op       string  `json:"op"`
	Sensor   string  `json:"sensor,omitempty"`
	Property string  `json:"property,omitempty"`
	Value    any     `json:"value,omitempty"`   // a number or a bool
	Seconds  float64 `json:"seconds,omitempty"` // of stall and unplug
	Load     *Load   `json:"load,omitempty"`
	Faults   *Faults `json:"faults,omitempty"`
}

// Response is one line from the control socket: Error, or what was asked for.
type Response struct {
	Error     string        `json:"error,omitempty"`
	Sensors   []SensorState `json:"sensors,omitempty"`
	Stats     *Stats        `json:"stats,omitempty"`
	Running   bool          `json:"running,omitempty"`   // op status: on a network
	Endpoints int           `json:"endpoints,omitempty"` // op status: registered endpoints of the stick
}

const (
	// maxLine bounds a line of the control socket.
	maxLine = 64 << 10
	// maxClients bounds the control connections at one time.
	maxClients = 16
	// maxSeconds bounds stalls and unpluggings.
	maxSeconds = 24 * 60 * 60
)

// errOp refuses an operation that does not exist.
var errOp = errors.New("no such operation")

// ServeControl answers requests on a unix socket until the context ends. A socket left over from a simulator that
// was killed is replaced.
func (s *Stick) ServeControl(ctx context.Context, path string) error {
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("replacing the control socket: %w", err)
		}
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("opening the control socket: %w", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { listener.Close() }) //nolint:errcheck // closing is all it is for
	defer stop()
	places := make(chan struct{}, maxClients)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return ended(ctx)
		}
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if conn != nil {
				err = conn.Close()
			}
			return errors.Join(ended(ctx), ignoreClosed(err))
		}
		if err != nil {
			return fmt.Errorf("serving the control socket: %w", err)
		}
		wg.Go(func() {
			defer func() { <-places }()
			s.converse(ctx, conn)
		})
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// converse answers the lines of one client.
func (s *Stick) converse(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // the client is given up
	defer stop()
	defer conn.Close() //nolint:errcheck // the client is done
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		answer, err := json.Marshal(s.control(lines.Bytes()))
		if err != nil {
			s.log.Warn("could not encode an answer of the control socket", "error", err)
			return
		}
		if _, err := conn.Write(append(answer, '\n')); err != nil {
			return
		}
	}
}

// control carries out one line.
func (s *Stick) control(line []byte) Response {
	var q Request
	if err := json.Unmarshal(line, &q); err != nil {
		return Response{Error: fmt.Sprintf("not a request: %v", err)}
	}
	r, err := s.do(q)
	if err != nil {
		return Response{Error: err.Error()}
	}
	return r
}

func (s *Stick) do(q Request) (Response, error) {
	switch q.Op {
	case "sensors":
		return Response{Sensors: s.Sensors()}, nil
	case "stats":
		stats := s.Stats()
		return Response{Stats: &stats}, nil
	case "status":
		running, endpoints := s.Running()
		return Response{Running: running, Endpoints: endpoints}, nil
	}
	action, ok := actions[q.Op]
	if !ok {
		return Response{}, fmt.Errorf("%w: %q", errOp, q.Op)
	}
	return Response{}, action(s, q)
}

// actions are the operations that answer with nothing but success.
var actions = map[string]func(*Stick, Request) error{
	"set": func(s *Stick, q Request) error {
		value, ok := toFloat(q.Value)
		if !ok {
			return fmt.Errorf("%w: %v is neither a number nor a bool", ErrValue, q.Value)
		}
		return s.Set(q.Sensor, q.Property, value)
	},
	"join":   func(s *Stick, q Request) error { return s.Join(q.Sensor) },
	"leave":  func(s *Stick, q Request) error { return s.Leave(q.Sensor) },
	"move":   func(s *Stick, q Request) error { return s.Move(q.Sensor) },
	"press":  func(s *Stick, q Request) error { return s.Press(q.Sensor) },
	"pause":  func(s *Stick, _ Request) error { s.Pause(true); return nil },
	"resume": func(s *Stick, _ Request) error { s.Pause(false); return nil },
	"stray":  func(s *Stick, _ Request) error { s.Stray(); return nil },
	"reset":  func(s *Stick, _ Request) error { s.Reset(); return nil },
	"stall":  func(s *Stick, q Request) error { return timed(q, s.Stall) },
	"unplug": func(s *Stick, q Request) error { return timed(q, s.Unplug) },
	"load": func(s *Stick, q Request) error {
		if q.Load == nil {
			return fmt.Errorf("%w: the request lacks a load", ErrValue)
		}
		return s.SetLoad(*q.Load)
	},
	"faults": func(s *Stick, q Request) error {
		if q.Faults == nil {
			return s.SetFaults(Faults{})
		}
		return s.SetFaults(*q.Faults)
	},
}

func timed(q Request, do func(time.Duration)) error {
	if !(q.Seconds >= 0 && q.Seconds <= maxSeconds) {
		return fmt.Errorf("%w: seconds are between 0 and %d", ErrValue, maxSeconds)
	}
	do(time.Duration(q.Seconds * float64(time.Second)))
	return nil
}

// Client talks to the control socket of a simulator. It may be used from any goroutine.
type Client struct {
	mu    sync.Mutex // one request at a time
	conn  net.Conn
	lines *bufio.Reader
}

// ErrControl is the simulator's refusal of a request; the error's text is what it said.
var ErrControl = errors.New("the simulator refused")

// controlTimeout bounds a request whose context sets no deadline.
const controlTimeout = 10 * time.Second

// Dial connects to the control socket at path.
func Dial(path string) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, controlTimeout)
	if err != nil {
		return nil, fmt.Errorf("reaching the simulator's control socket: %w", err)
	}
	return &Client{conn: conn, lines: bufio.NewReaderSize(conn, maxLine)}, nil
}

// Close ends the connection.
func (c *Client) Close() error {
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("closing the control connection: %w", err)
	}
	return nil
}

// Do sends one request. The error wraps ErrControl if the simulator refused it.
func (c *Client) Do(ctx context.Context, q Request) (Response, error) {
	line, err := json.Marshal(q)
	if err != nil {
		return Response{}, fmt.Errorf("encoding the request %q: %w", q.Op, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(controlTimeout)
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return Response{}, fmt.Errorf("asking the simulator to %s: %w", q.Op, err)
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Now()) }) //nolint:errcheck // the request fails by itself then
	defer stop()
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return Response{}, fmt.Errorf("asking the simulator to %s: %w", q.Op, err)
	}
	var r Response
	text, err := readLine(c.lines)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return Response{}, fmt.Errorf("reading the simulator's answer to %s: %w", q.Op, err)
	}
	if r.Error != "" {
		return Response{}, fmt.Errorf("%w: %s", ErrControl, r.Error)
	}
	return r, nil
}

// maxAnswer bounds an answer: a list of as many sensors as a simulation holds.
const maxAnswer = 1 << 20

func readLine(lines *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := lines.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case err == nil:
			return text, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err //nolint:wrapcheck // wrapped once by the caller
		case len(text) > maxAnswer:
			return nil, io.ErrShortBuffer
		}
	}
}
