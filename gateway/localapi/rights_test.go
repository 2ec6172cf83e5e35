package localapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRightsTable(t *testing.T) {
	r := &rights{group: "peerbee", self: 990, memberOf: func(uid uint32, _ string) bool { return uid == 1000 }}
	for _, tc := range []struct {
		name   string
		caller Caller
		need   Right
		ok     bool
	}{
		{"root admin", Caller{UID: 0, Known: true}, RightAdmin, true},
		{"the daemon's own user", Caller{UID: 990, Known: true}, RightAdmin, true},
		{"member reads", Caller{UID: 1000, Known: true}, RightRead, true},
		{"member commands", Caller{UID: 1000, Known: true}, RightCommand, true},
		{"member is no admin", Caller{UID: 1000, Known: true}, RightAdmin, false},
		{"stranger", Caller{UID: 1001, Known: true}, RightRead, false},
		{"credentials missing", Caller{UID: 0}, RightRead, false},
	} {
		err := r.check(tc.caller, tc.need)
		if (err == nil) != tc.ok {
			t.Errorf("%s: got %v", tc.name, err)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Hint == "" || e.Code != http.StatusForbidden) {
			t.Errorf("%s: refusal without a next step: %v", tc.name, err)
		}
	}
}

func TestForeignOriginIsRefused(t *testing.T) {
	for _, tc := range []struct{ host, origin string }{{"localhost", ""}, {"peerbee", "http://evil.example"}, {"evil.example", ""}} {
		r := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
		r.Host = tc.host
		if tc.origin != "" {
			r.Header.Set("Origin", tc.origin)
		}
		if checkOrigin(r) == nil {
			t.Errorf("host %q origin %q was let in", tc.host, tc.origin)
		}
	}
}
