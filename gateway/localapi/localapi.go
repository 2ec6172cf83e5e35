// Package localapi serves the daemon's HTTP interface on a unix socket: who may call (peer credentials), what a
// call looks like (JSON in, JSON or JSON lines out), and how an error is told. The routes' meaning is the
// caller's; this package must never know devices, peers or the ledger.
package localapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Right is what a caller needs for a route.
type Right int

// Rights, each containing the ones before it.
const (
	RightRead    Right = iota + 1 // group peerbee: look
	RightCommand                  // group peerbee: pair, rename, switch
	RightAdmin                    // uid 0 or the daemon's own user: network, access, removal
)

// maxBody bounds a request; the largest is a share with a list of devices.
const maxBody = 64 << 10

// Error is an answer other than success. Hint names the next step.
type Error struct {
	Code int    `json:"-"`
	Text string `json:"error"`
	Hint string `json:"hint,omitempty"`
}

func (e *Error) Error() string { return e.Text }

// NextStep is the hint shown below the error.
func (e *Error) NextStep() string { return e.Hint }

// Errorf makes an Error without a hint.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// WithHint adds the next step.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Route is one call. Exactly one of Handle, Stream and Raw is set.
type Route struct {
	Pattern string // as for http.ServeMux: "GET /v1/devices/{id}"
	Right   Right
	// Handle answers with a value that is written as JSON; nil gives 204.
	Handle func(ctx context.Context, r *Request) (any, error)
	// Stream writes JSON lines for as long as the caller listens.
	Stream func(ctx context.Context, r *Request, emit func(any) error) error
	// Raw answers with bytes of the given content type.
	Raw func(ctx context.Context, r *Request) (contentType string, body []byte, err error)
}

// Request is what a route sees of the call.
type Request struct {
	*http.Request
	Caller Caller
}

// Decode reads the JSON body into v. An unknown field is an error.
func (r *Request) Decode(v any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return Errorf(http.StatusBadRequest, "request body: %v", err)
	}
	return nil
}

// Server serves routes on one unix socket.
type Server struct {
	path    string
	handler http.Handler
	log     *slog.Logger
	ready   chan struct{}
	rights  *rights
}

// Options of a Server.
type Options struct {
	Socket string // path; its folder is made when missing
	Group  string // members may read and command; empty or unknown: only root and the daemon's user
	Routes []Route
	Log    *slog.Logger
}

// New builds a server; nothing listens before Serve.
func New(o Options) *Server {
	s := &Server{path: o.Socket, log: o.Log, ready: make(chan struct{}), rights: newRights(o.Group)}
	mux := http.NewServeMux()
	for _, route := range o.Routes {
		mux.Handle(route.Pattern, s.serve(route))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, Errorf(http.StatusNotFound, "no such call: %s %s", r.Method, r.URL.Path).
			WithHint("the command and the daemon may be of different versions: run peerbee version and restart the daemon"))
	})
	s.handler = mux
	return s
}

// Ready is closed once the socket accepts calls.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Serve listens until ctx ends. It refuses to take a socket over from a daemon that answers.
func (s *Server) Serve(ctx context.Context) error {
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withCredentials,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	close(s.ready)
	select {
	case <-ctx.Done():
		// Streams end with ctx; one second is for answers under way.
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(stop) != nil {
			err = srv.Close()
		}
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return errors.Join(ctx.Err(), err)
	case err := <-done:
		return fmt.Errorf("local API: %w", err)
	}
}

func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o750); err != nil {
		return nil, fmt.Errorf("folder of the local socket: %w", err)
	}
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", s.path); err == nil {
		return nil, errors.Join(&Error{
			Text: "another peerbee daemon answers on " + s.path,
			Hint: "stop it first: sudo systemctl stop peerbee",
		}, c.Close())
	}
	if st, err := os.Lstat(s.path); err == nil && st.Mode()&os.ModeSocket == 0 {
		return nil, &Error{Text: s.path + " exists and is no socket", Hint: "set api.socket to another path"}
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("old local socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", s.path)
	if err != nil {
		return nil, fmt.Errorf("local socket: %w", err)
	}
	if err := s.rights.own(s.path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (s *Server) serve(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := callerOf(r.Context())
		if err := s.rights.check(caller, route.Right); err != nil {
			s.log.Warn("local call refused", "call", route.Pattern, "uid", caller.UID)
			writeError(w, err)
			return
		}
		if err := checkOrigin(r); err != nil {
			writeError(w, err)
			return
		}
		req := &Request{Request: r, Caller: caller}
		switch {
		case route.Stream != nil:
			s.stream(r.Context(), w, req, route)
		case route.Raw != nil:
			contentType, body, err := route.Raw(r.Context(), req)
			if err != nil {
				writeError(w, err)
				return
			}
			w.Header().Set("Content-Type", contentType)
			s.write(w, body)
		default:
			answer, err := route.Handle(r.Context(), req)
			if err != nil {
				writeError(w, err)
				return
			}
			s.answer(w, answer)
		}
	})
}

func (s *Server) answer(w http.ResponseWriter, v any) {
	if v == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		writeError(w, fmt.Errorf("encode answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.write(w, append(body, '\n'))
}

func (s *Server) write(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		s.log.Debug("local caller went away", "err", err)
	}
}

// stream flushes each line: a reading is on the screen when it arrives. A failure after the first line ends the
// stream with a line {"error": ...}.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, r *Request, route Route) {
	flusher := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	started := false
	start := func() {
		if !started {
			started = true
			w.Header().Set("Content-Type", "application/jsonl")
			w.WriteHeader(http.StatusOK)
		}
	}
	err := route.Stream(ctx, r, func(v any) error {
		start()
		if v == nil { // only show the caller that the stream stands
			return flusher.Flush()
		}
		if err := enc.Encode(v); err != nil {
			return err
		}
		return flusher.Flush()
	})
	switch {
	case err == nil:
		start()
	case ctx.Err() != nil:
	case !started:
		writeError(w, err)
	default:
		if encErr := enc.Encode(asError(err)); encErr != nil {
			s.log.Debug("local caller went away", "err", encErr)
		}
	}
}

// checkOrigin refuses calls that a web page could cause through some proxy of the socket: our own client sends
// the host "peerbee" and no origin.
func checkOrigin(r *http.Request) error {
	if r.Header.Get("Origin") != "" || !strings.EqualFold(r.Host, "peerbee") {
		return Errorf(http.StatusForbidden, "the local API answers peerbee's own commands only").
			WithHint("send the header \"Host: peerbee\" and no Origin")
	}
	return nil
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	out := &Error{Code: http.StatusInternalServerError, Text: err.Error()}
	var step interface{ NextStep() string }
	if errors.As(err, &step) {
		out.Hint = step.NextStep()
	}
	return out
}

func writeError(w http.ResponseWriter, err error) {
	e := asError(err)
	body, marshalErr := json.Marshal(e)
	if marshalErr != nil {
		body = []byte(`{"error":"unprintable error"}`)
	}
	code := e.Code
	if code == 0 {
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if _, err := w.Write(append(body, '\n')); err != nil {
		return // the caller went away; there is nobody to tell
	}
}
