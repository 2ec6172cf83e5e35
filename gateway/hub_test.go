package gateway

import (
	"testing"

	"github.com/peerbee/peerbee/gateway/api"
)

func TestSlowWatcherLosesTheOldestAndIsTold(t *testing.T) {
	h := newHub()
	if !h.idle() {
		t.Error("a hub without watchers is busy")
	}
	slow, end := h.watch(func(*api.Event) bool { return true })
	fast, endFast := h.watch(func(e *api.Event) bool { return e.Count%2 == 0 })
	const sent = 3*hubQueue + 10
	fastGot := 0
	for i := range uint64(sent) {
		h.publish(api.Event{Kind: "reading", Count: i})
		events, lost := fast.take()
		if fastGot += len(events); lost > 0 {
			t.Fatalf("a watcher that keeps up lost %d", lost)
		}
	}
	if fastGot != sent/2 {
		t.Errorf("the watcher that keeps up got %d of %d it wants", fastGot, sent/2)
	}
	select {
	case <-slow.signal:
	default:
		t.Error("the slow watcher is not woken")
	}
	events, lost := slow.take()
	if len(events) > hubQueue || lost == 0 || uint64(len(events))+lost != sent {
		t.Errorf("%d events, %d lost of %d", len(events), lost, sent)
	}
	for i, e := range events {
		if e.Count != lost+uint64(i) {
			t.Fatalf("event %d is #%d, want #%d", i, e.Count, lost+uint64(i))
		}
	}
	if events, lost := slow.take(); len(events) != 0 || lost != 0 {
		t.Errorf("taken twice: %d events, %d lost", len(events), lost)
	}
	end()
	endFast()
	if !h.idle() {
		t.Error("the hub keeps watchers that have ended")
	}
}
