package zigbee

import (
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"
)

const (
	maxStrangers      = 64 // addresses remembered
	maxStrangerFrames = 8  // frames kept for each, the newest
	// askAgainAfter spaces the questions for one address: a sleeping device answers only when it wakes.
	askAgainAfter = 30 * time.Second
)

// strangers keeps what came from network addresses no device is known at, until their IEEE address is.
type strangers struct {
	mu        sync.Mutex // guards byAddress
	byAddress map[zb.NetworkAddress]*stranger
}

type stranger struct {
	frames []incoming
	asked  time.Time
	heard  time.Time
}

func newStrangers() *strangers { return &strangers{byAddress: make(map[zb.NetworkAddress]*stranger)} }

// add keeps a frame and says whether the address has to be asked for now. Dropped counts frames given up for room.
func (s *strangers) add(m incoming, now time.Time) (ask bool, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byAddress[m.source]
	if one == nil {
		if len(s.byAddress) >= maxStrangers {
			dropped += s.evict()
		}
		one = &stranger{}
		s.byAddress[m.source] = one
	}
	if len(one.frames) == maxStrangerFrames {
		one.frames = append(one.frames[:0], one.frames[1:]...)
		dropped++
	}
	one.frames = append(one.frames, m)
	one.heard = now
	if one.asked.IsZero() || now.Sub(one.asked) >= askAgainAfter {
		one.asked = now
		return true, dropped
	}
	return false, dropped
}

// evict forgets the address heard longest ago.
func (s *strangers) evict() int {
	var oldest zb.NetworkAddress
	var at time.Time
	for address, one := range s.byAddress {
		if at.IsZero() || one.heard.Before(at) {
			oldest, at = address, one.heard
		}
	}
	n := len(s.byAddress[oldest].frames)
	delete(s.byAddress, oldest)
	return n
}

// take gives the frames kept for an address, in order, and forgets it.
func (s *strangers) take(address zb.NetworkAddress) []incoming {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byAddress[address]
	if one == nil {
		return nil
	}
	delete(s.byAddress, address)
	return one.frames
}
