package zigbee

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"
)

// drain reads until nothing waits.
func drain(t *testing.T, q *queue) []Event {
	t.Helper()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var events []Event
	for {
		e, err := q.take(over)
		if err != nil {
			return events
		}
		events = append(events, e)
	}
}

func reportNumber(i int) Report { return Report{Time: time.Unix(int64(i), 0)} }

func TestQueueDropsOldestReportsOnlyAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.push(StateChanged{State{Phase: PhaseRunning}})
		q.push(reportNumber(-1))
		q.push(DeviceChanged{Device: Device{IEEE: 7}})
		for i := range maxQueuedReports + 9 {
			q.push(reportNumber(i))
		}
		q.push(DeviceLeft{Device: 7})
		events := drain(t, q)
		want := []Event{
			StateChanged{State{Phase: PhaseRunning}}, Lost{1}, DeviceChanged{Device: Device{IEEE: 7}}, Lost{9}, reportNumber(9),
		}
		if diff := cmp.Diff(want, events[:len(want)]); diff != "" {
			t.Error(diff)
		}
		if n := len(events); n != 4+maxQueuedReports+1 || events[n-1] != (DeviceLeft{7}) {
			t.Errorf("%d events, the last %+v", n, events[n-1])
		}
		if waiting, lost := q.depth(); waiting != 0 || lost != 10 {
			t.Errorf("%d waiting, %d lost", waiting, lost)
		}
	})
}

func TestQueueWakesItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		var got []Event
		done := make(chan struct{})
		go func() {
			defer close(done)
			for len(got) < 300 {
				e, err := q.take(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, e)
			}
		}()
		for i := range 300 {
			q.push(reportNumber(i))
			if i%7 == 0 {
				synctest.Wait()
			}
		}
		<-done
		for i, e := range got {
			if !e.(Report).Time.Equal(reportNumber(i).Time) {
				t.Fatalf("event %d is %+v", i, e)
			}
		}
	})
}

func TestQueueCoalescesWhenFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		for i := range coalesceAbove + 1 {
			q.push(DeviceChanged{Device: Device{IEEE: zb.IEEEAddress(i)}, Joined: true})
		}
		q.push(DeviceChanged{Device: Device{IEEE: 3, Model: "new"}})
		q.push(DeviceLeft{Device: 4})
		q.push(DeviceLeft{Device: 4})
		q.push(DeviceChanged{Device: Device{IEEE: 4, Model: "back"}, Joined: true})
		q.push(StateChanged{State{Phase: PhaseNoStick}})
		q.push(StateChanged{State{Phase: PhaseRunning}})
		events := drain(t, q)
		if n := len(events); n != coalesceAbove+1+3 {
			t.Fatalf("%d events", n)
		}
		if diff := cmp.Diff(Event(DeviceChanged{Device: Device{IEEE: 3, Model: "new"}, Joined: true}), events[3]); diff != "" {
			t.Error(diff)
		}
		want := []Event{
			DeviceLeft{Device: 4}, DeviceChanged{Device: Device{IEEE: 4, Model: "back"}, Joined: true}, StateChanged{State{Phase: PhaseRunning}},
		}
		if diff := cmp.Diff(want, events[coalesceAbove+1:]); diff != "" {
			t.Error(diff)
		}
	})
}
