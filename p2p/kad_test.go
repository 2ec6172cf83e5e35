package p2p

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func p256Key(t testing.TB) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateECDSAKeyPair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writeKey(t *testing.T, path string, key crypto.PrivKey) {
	t.Helper()
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(raw)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func testAddrs(n int) []ma.Multiaddr {
	var out []ma.Multiaddr
	for i := range n {
		out = append(out, ma.StringCast(fmt.Sprintf("/ip4/192.0.2.%d/tcp/4001", i)))
	}
	return out
}

func TestAddressRecordRoundTrip(t *testing.T) {
	for name, key := range map[string]crypto.PrivKey{"Ed25519": newKey(t), "P-256": p256Key(t)} {
		t.Run(name, func(t *testing.T) {
			id, err := peer.IDFromPrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := signAddressRecord(key, 42, testAddrs(3))
			if err != nil {
				t.Fatal(err)
			}
			rec, err := openAddressRecord(id, raw)
			if err != nil || rec.seq != 42 || len(rec.addrs) != 3 || !rec.addrs[2].Equal(testAddrs(3)[2]) {
				t.Errorf("%+v, %v", rec, err)
			}
			if err := (addressRecords{}).Validate(addressKey(id), raw); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAddressRecordFitsItsLimit(t *testing.T) {
	key := newKey(t)
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var long []ma.Multiaddr
	for i := range 20 {
		long = append(long, ma.StringCast(fmt.Sprintf("/dns4/%0200d.example.org/tcp/4001", i)))
	}
	raw, err := signAddressRecord(key, 1, long)
	if err != nil || len(raw) > maxRecord {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	if rec, err := openAddressRecord(id, raw); err != nil || len(rec.addrs) == 0 {
		t.Errorf("%+v, %v", rec, err)
	}
}

func TestForgedAddressRecordsAreRefused(t *testing.T) {
	key, other := newKey(t), newKey(t)
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signAddressRecord(key, 7, testAddrs(2))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := signAddressRecord(other, 9, testAddrs(2))
	if err != nil {
		t.Fatal(err)
	}
	v := addressRecords{}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if v.Validate(addressKey(id), bad) == nil {
			t.Errorf("a record with byte %d changed is accepted", i)
		}
		if v.Validate(addressKey(id), raw[:i]) == nil {
			t.Errorf("a record cut at %d is accepted", i)
		}
	}
	for name, tc := range map[string]struct {
		key string
		raw []byte
	}{
		"another's":      {addressKey(id), foreign},
		"foreign key":    {"/pk/" + id.String(), raw},
		"no peer":        {"/peerbee/nobody", raw},
		"other spelling": {"/peerbee/" + peer.ToCid(id).String(), raw},
		"too long":       {addressKey(id), append(bytes.Clone(raw), make([]byte, maxRecord)...)},
	} {
		if err := v.Validate(tc.key, tc.raw); !errors.Is(err, errBadRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	newer, err := signAddressRecord(key, 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	if i, err := v.Select(addressKey(id), [][]byte{foreign, raw, newer, nil}); err != nil || i != 2 {
		t.Errorf("selected %d, %v", i, err)
	}
	if _, err := v.Select(addressKey(id), [][]byte{foreign}); err == nil {
		t.Error("a foreign record was selected")
	}
}

func FuzzAddressRecord(f *testing.F) {
	key, _, err := crypto.GenerateEd25519Key(bytes.NewReader(bytes.Repeat([]byte{1}, 64)))
	if err != nil {
		f.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := signAddressRecord(key, 1, testAddrs(2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, in []byte) {
		rec, err := openAddressRecord(id, in)
		if err != nil {
			return
		}
		again, err := signAddressRecord(key, rec.seq, rec.addrs)
		if err != nil || rec.seq != 1 || !bytes.Equal(again, raw) {
			t.Errorf("accepted %x although the key never signed it", in)
		}
	})
}

func TestSequenceNeverGoesBack(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	for range 3 {
		s, err := loadSequence(dir)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			n, err := s.next()
			if err != nil || n <= last {
				t.Fatalf("%d after %d, %v", n, last, err)
			}
			last = n
		}
	}
	if err := os.WriteFile(filepath.Join(dir, sequenceFile), []byte("soup"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadSequence(dir); err == nil {
		t.Error("a damaged file starts again from one")
	}
}

func TestDiscoveryKeyChangesWithWeekAndSecret(t *testing.T) {
	seen := map[string]bool{}
	for _, secret := range []string{"a", "b"} {
		for _, w := range []uint64{2900, 2901} {
			key, err := discoveryKey([]byte(secret), w)
			if err != nil {
				t.Fatal(err)
			}
			seen[key.String()] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d different keys of 4", len(seen))
	}
	epoch := time.Unix(0, 0)
	if weekOf(epoch) != 0 || weekOf(epoch.Add(week-1)) != 0 || weekOf(epoch.Add(week)) != 1 || weekOf(epoch.Add(-week)) != 0 {
		t.Error("weeks are off")
	}
}

func TestProviderBookIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newProviderBook(20)
		add := func(key string, id peer.ID) {
			if err := b.AddProvider(t.Context(), []byte(key), peer.AddrInfo{ID: id, Addrs: testAddrs(40)}); err != nil {
				t.Fatal(err)
			}
		}
		get := func(key string) []peer.AddrInfo {
			out, err := b.GetProviders(t.Context(), []byte(key))
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for i := range 100 {
			add(fmt.Sprint("greedy", i), "greedy")
		}
		if n := b.byPeer["greedy"]; n != maxKeysPerProvider {
			t.Errorf("one peer holds %d keys", n)
		}
		for i := range 10 {
			add("shared", peer.ID(fmt.Sprint("p", i)))
		}
		if got := get("shared"); len(got) != maxProvidersPerKey || got[len(got)-1].ID != "p9" || len(got[0].Addrs) != maxProviderAddrs {
			t.Errorf("%d providers of one key", len(got))
		}
		add("shared", "p9")
		if n := len(get("shared")); n != maxProvidersPerKey {
			t.Errorf("the same provider again makes %d", n)
		}
		for i := range 100 {
			add(fmt.Sprint("k", i), peer.ID(fmt.Sprint("q", i)))
		}
		if b.oldest.Len() != 20 || len(b.byKey) != 20 || len(b.byPeer) != 20 {
			t.Errorf("%d records, %d keys, %d peers", b.oldest.Len(), len(b.byKey), len(b.byPeer))
		}
		time.Sleep(recordLife + time.Second)
		if got := get("k99"); len(got) != 0 || b.oldest.Len() != 0 {
			t.Errorf("after a day %d records are left", b.oldest.Len())
		}
	})
}

func TestBoundedStoreDropsTheOldest(t *testing.T) {
	s := newBoundedStore(3)
	for i := range 5 {
		if err := s.Put(t.Context(), ds.NewKey(fmt.Sprint(i)), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), ds.NewKey("3")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, true, false, true} {
		if got, err := s.Has(t.Context(), ds.NewKey(fmt.Sprint(i))); err != nil || got != want {
			t.Errorf("key %d: %v, %v", i, got, err)
		}
	}
	if s.order.Len() != 2 || len(s.held) != 2 {
		t.Errorf("%d keys in order, %d held", s.order.Len(), len(s.held))
	}
}
