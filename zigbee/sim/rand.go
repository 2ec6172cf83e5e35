package sim

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

// newRand gives a stream of numbers that depends on the seed and its purpose only: nothing here is secret, and
// two runs with one seed must be alike.
func newRand(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(seed, h.Sum64())) //nolint:gosec // meant to be reproducible
}

func fill(rng *rand.Rand, b []byte) {
	for i := 0; i < len(b); i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], rng.Uint64())
		copy(b[i:], word[:])
	}
}
