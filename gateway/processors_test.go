package gateway

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProcessorsFollowTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards what follows
		var used time.Duration
		var all []bool
		share, since := 0.1, time.Now()
		usage := func() (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			return used + time.Duration(share*float64(time.Since(since))), nil
		}
		load := func(s float64) { // the processor time grows with s from now on
			now, _ := usage()
			mu.Lock()
			defer mu.Unlock()
			used, share, since = now, s, time.Now()
		}
		p := &processors{used: usage, set: func(a bool) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, a)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Serve(ctx) }()
		expect := func(what string, want ...bool) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff(want, all); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		time.Sleep(time.Minute)
		expect("little to do", false)
		load(0.9)
		time.Sleep(2 * usageEvery)
		expect("busy", false, true)
		load(0.4)
		time.Sleep(time.Minute)
		expect("neither busy nor idle", false, true)
		load(0.1)
		time.Sleep(calmFor / 2)
		load(0.9)
		time.Sleep(2 * usageEvery)
		load(0.1)
		time.Sleep(calmFor / 2)
		expect("idle only for moments", false, true)
		time.Sleep(calmFor)
		expect("idle for long", false, true, false)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
		expect("stopped", false, true, false, true)
	})
}

func TestProcessorTimeGrows(t *testing.T) {
	before, err := processorTime()
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
	}
	if after, err := processorTime(); err != nil || after <= before {
		t.Errorf("%v then %v, %v", before, after, err)
	}
}
