package p2p

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	maxValues          = 4096 // address records of 1 kB at most
	maxProviderKeys    = 8192
	maxKeysPerProvider = 8 // a gateway needs two, and two more while its secret changes
	maxProvidersPerKey = 4 // one is right; the others are whoever copied the key
	maxProviderAddrs   = 16
)

// providerBook holds provider records in bounded memory. The library's own store keeps whatever anyone sends for
// two days.
type providerBook struct {
	limit int

	mu     sync.Mutex // guards the fields below
	oldest list.List  // of *providerEntry, least recently stored first
	byKey  map[string][]*list.Element
	byPeer map[peer.ID]int
}

type providerEntry struct {
	key  string
	info peer.AddrInfo
	at   time.Time // with its monotonic part: the clock may be set
}

var _ records.ProviderStore = (*providerBook)(nil)

func newProviderBook(limit int) *providerBook {
	return &providerBook{limit: limit, byKey: map[string][]*list.Element{}, byPeer: map[peer.ID]int{}}
}

// AddProvider implements records.ProviderStore. The newest record of a peer for a key replaces the one before.
func (b *providerBook) AddProvider(_ context.Context, key []byte, info peer.AddrInfo) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.byKey[string(key)] {
		if providerOf(e).info.ID == info.ID {
			b.remove(e)
			break
		}
	}
	b.makeRoom(string(key), info.ID)
	entry := &providerEntry{key: string(key), info: peer.AddrInfo{
		ID: info.ID, Addrs: slices.Clone(info.Addrs[:min(len(info.Addrs), maxProviderAddrs)]),
	}, at: time.Now()}
	b.byKey[entry.key] = append(b.byKey[entry.key], b.oldest.PushBack(entry))
	b.byPeer[info.ID]++
	return nil
}

// makeRoom drops the oldest record of whichever limit the next one would break.
func (b *providerBook) makeRoom(key string, id peer.ID) {
	if b.byPeer[id] >= maxKeysPerProvider {
		for e := b.oldest.Front(); e != nil; e = e.Next() {
			if providerOf(e).info.ID == id {
				b.remove(e)
				break
			}
		}
	}
	if same := b.byKey[key]; len(same) >= maxProvidersPerKey {
		b.remove(same[0])
	}
	if b.oldest.Len() >= b.limit {
		b.remove(b.oldest.Front())
	}
}

func (b *providerBook) remove(e *list.Element) {
	entry := providerOf(e)
	b.oldest.Remove(e)
	rest := slices.DeleteFunc(b.byKey[entry.key], func(o *list.Element) bool { return o == e })
	if len(rest) == 0 {
		delete(b.byKey, entry.key)
	} else {
		b.byKey[entry.key] = rest
	}
	if b.byPeer[entry.info.ID]--; b.byPeer[entry.info.ID] <= 0 {
		delete(b.byPeer, entry.info.ID)
	}
}

// GetProviders implements records.ProviderStore.
func (b *providerBook) GetProviders(_ context.Context, key []byte) ([]peer.AddrInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for e := b.oldest.Front(); e != nil && now.Sub(providerOf(e).at) > recordLife; e = b.oldest.Front() {
		b.remove(e)
	}
	var out []peer.AddrInfo
	for _, e := range b.byKey[string(key)] {
		out = append(out, providerOf(e).info)
	}
	return out, nil
}

// Close implements records.ProviderStore.
func (b *providerBook) Close() error { return nil }

func providerOf(e *list.Element) *providerEntry { return e.Value.(*providerEntry) } //nolint:forcetypeassert // nothing else goes in

// boundedStore is an in-memory datastore that drops its oldest key when it is full.
type boundedStore struct {
	*dssync.MutexDatastore
	limit int

	mu    sync.Mutex // guards order and held
	order list.List  // of ds.Key, oldest first
	held  map[ds.Key]*list.Element
}

var _ ds.Batching = (*boundedStore)(nil)

func newBoundedStore(limit int) *boundedStore {
	return &boundedStore{
		MutexDatastore: dssync.MutexWrap(ds.NewMapDatastore()), limit: limit, held: map[ds.Key]*list.Element{},
	}
}

// Put implements ds.Datastore.
func (s *boundedStore) Put(ctx context.Context, key ds.Key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.held[key]; ok {
		s.order.MoveToBack(e)
	} else {
		if s.order.Len() >= s.limit {
			front := s.order.Front()
			old := front.Value.(ds.Key) //nolint:forcetypeassert // only keys go in
			s.order.Remove(front)
			delete(s.held, old)
			if err := s.MutexDatastore.Delete(ctx, old); err != nil {
				return err
			}
		}
		s.held[key] = s.order.PushBack(key)
	}
	return s.MutexDatastore.Put(ctx, key, value)
}

// Delete implements ds.Datastore.
func (s *boundedStore) Delete(ctx context.Context, key ds.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.held[key]; ok {
		s.order.Remove(e)
		delete(s.held, key)
	}
	return s.MutexDatastore.Delete(ctx, key)
}

// Batch implements ds.Batching by Put and Delete, so that the bound holds there too.
func (s *boundedStore) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(s), nil }
