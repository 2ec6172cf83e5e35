// Package client is the Go client of the daemon's local API, used by the commands. It holds no logic: one method
// a call.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/peerbee/peerbee/gateway/localapi"
)

// maxLine bounds one line of a stream.
const maxLine = 1 << 20

// Client talks to one daemon. It is safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// New makes a client of the daemon behind socket; nothing is dialled yet.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close frees the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get fetches path into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// Post sends in to path and reads the answer into out; either may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, path, in, out)
}

// Patch changes what stands at path.
func (c *Client) Patch(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPatch, path, in, out)
}

// Delete removes what stands at path.
func (c *Client) Delete(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodDelete, path, nil, out)
}

// Raw fetches the bytes at path.
func (c *Client) Raw(ctx context.Context, path string) ([]byte, error) {
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return body, errors.Join(err, resp.Body.Close())
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	if out != nil && resp.StatusCode != http.StatusNoContent {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	return errors.Join(err, resp.Body.Close())
}

// Stream calls each with every line of a stream until it ends, each fails or ctx is done.
func (c *Client) Stream(ctx context.Context, path string, each func(line json.RawMessage) error) error {
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read side: nothing is lost with it
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for lines.Scan() {
		if e := errorIn(lines.Bytes()); e != nil {
			return e
		}
		if err := each(json.RawMessage(bytes.Clone(lines.Bytes()))); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the daemon's stream broke: %w", err)
	}
	return nil
}

// errorIn recognises the line with which a stream fails half-way.
func errorIn(line []byte) *localapi.Error {
	if !bytes.HasPrefix(line, []byte(`{"error":`)) {
		return nil
	}
	if e := new(localapi.Error); json.Unmarshal(line, e) == nil && e.Text != "" {
		return e
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://peerbee"+path, body)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	e := &localapi.Error{}
	if json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(e) != nil || e.Text == "" {
		e.Text = "the daemon answered " + resp.Status
	}
	e.Code = resp.StatusCode
	return nil, errors.Join(e, resp.Body.Close())
}

// explain turns the three ways a socket refuses into words with a next step.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &localapi.Error{
			Text: "no peerbee daemon answers on " + c.socket,
			Hint: "start it: sudo systemctl start peerbee (or peerbee daemon); another socket: --socket PATH",
		}
	case errors.Is(err, os.ErrPermission):
		return &localapi.Error{
			Text: "you may not open " + c.socket,
			Hint: "sudo adduser $USER peerbee, then log in again; or run the command with sudo",
		}
	}
	return err
}
