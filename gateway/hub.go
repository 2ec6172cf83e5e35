package gateway

import (
	"sync"

	"github.com/peerbee/peerbee/gateway/api"
)

// hubQueue is how many events may wait for one slow terminal before the oldest are dropped.
const hubQueue = 1024

// hub hands events to the local watchers. A slow one loses its oldest events and is told how many; it never
// holds up the radio or another watcher.
type hub struct {
	mu       sync.Mutex // guards watchers
	watchers map[*watcher]struct{}
}

// watcher is one local listener.
type watcher struct {
	wants func(*api.Event) bool

	mu     sync.Mutex // guards the fields below
	queue  []api.Event
	lost   uint64
	signal chan struct{}
}

func newHub() *hub { return &hub{watchers: map[*watcher]struct{}{}} }

// watch registers a listener for the events it wants; call the returned function to end it.
func (h *hub) watch(wants func(*api.Event) bool) (*watcher, func()) {
	w := &watcher{wants: wants, signal: make(chan struct{}, 1)}
	h.mu.Lock()
	h.watchers[w] = struct{}{}
	h.mu.Unlock()
	return w, func() {
		h.mu.Lock()
		delete(h.watchers, w)
		h.mu.Unlock()
	}
}

// idle reports that nobody listens, so that building an event can be saved.
func (h *hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers) == 0
}

func (h *hub) publish(e api.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if w.wants(&e) {
			w.push(e)
		}
	}
}

func (w *watcher) push(e api.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == hubQueue {
		w.queue = append(w.queue[:0], w.queue[hubQueue/2:]...)
		w.lost += hubQueue / 2
	}
	w.queue = append(w.queue, e)
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// take empties the queue and says how many events were dropped before what it returns.
func (w *watcher) take() (events []api.Event, lost uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, lost = w.queue, w.lost
	w.queue, w.lost = nil, 0
	return events, lost
}
