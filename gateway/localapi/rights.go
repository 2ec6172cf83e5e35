package localapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Caller is who stands at the other end of the socket, as the kernel says (SO_PEERCRED).
type Caller struct {
	UID   uint32
	PID   int32
	Known bool // false when the kernel did not tell: such a caller has no right
}

type callerKey struct{}

func withCredentials(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, credentials(c))
}

func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

func credentials(c net.Conn) Caller {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return Caller{}
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Caller{}
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || credErr != nil {
		return Caller{}
	}
	return Caller{UID: cred.Uid, PID: cred.Pid, Known: true}
}

// rights decides by uid and group; the group database is asked at each call, so `adduser` works at once.
type rights struct {
	group string
	self  uint32
	// memberOf is replaced in tests.
	memberOf func(uid uint32, group string) bool
}

func newRights(group string) *rights {
	return &rights{group: group, self: uint32(os.Getuid()), memberOf: memberOf} // #nosec G115 -- a uid fits
}

func (r *rights) of(c Caller) Right {
	switch {
	case !c.Known:
		return 0
	case c.UID == 0 || c.UID == r.self:
		return RightAdmin
	case r.group != "" && r.memberOf(c.UID, r.group):
		return RightCommand
	}
	return 0
}

func (r *rights) check(c Caller, need Right) error {
	have := r.of(c)
	if have >= need {
		return nil
	}
	name := "NAME"
	if u, err := user.LookupId(strconv.FormatUint(uint64(c.UID), 10)); err == nil {
		name = u.Username
	}
	if have == 0 {
		return Errorf(http.StatusForbidden, "user %s may not talk to the daemon", name).
			WithHint("sudo adduser %s %s, then log in again", name, r.group)
	}
	return Errorf(http.StatusForbidden, "user %s may look and pair, but not do this", name).WithHint("run the command with sudo")
}

// own gives the socket to the group with mode 0660. Without the group (a run from a checkout) it stays 0600.
func (r *rights) own(path string) error {
	mode := os.FileMode(0o600)
	if g, err := user.LookupGroup(r.group); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil && givenTo(path, gid) {
			mode = 0o660
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("mode of the local socket: %w", err)
	}
	return nil
}

// givenTo makes gid the group of path. As a service the daemon's own group is the right one already, and its
// sandbox refuses to change it.
func givenTo(path string, gid int) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int64(s.Gid) == int64(gid) {
		return true
	}
	return os.Chown(path, -1, gid) == nil
}

func memberOf(uid uint32, group string) bool {
	g, err := user.LookupGroup(group)
	if err != nil {
		return false
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return false
	}
	ids, err := u.GroupIds()
	return err == nil && slices.Contains(ids, g.Gid)
}
