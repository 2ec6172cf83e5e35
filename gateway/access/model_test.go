package access

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/peerbee/peerbee/gateway/reading"
)

// model is the policy written down the simplest way: every right that was ever given, one by one.
type model struct {
	rights  []modelRight
	tickets []*modelTicket
	uptime  time.Duration
}

type modelRight struct {
	who              peer.ID
	device, property string
	covers           map[string]bool // devices, for All
	end              modelEnd
}

type modelTicket struct {
	Ticket
	devices, properties []string
	covers              map[string]bool
	end                 modelEnd
	rightsFor           time.Duration
	by                  peer.ID
	dead                bool
	wrong               map[peer.ID]int
}

type modelEnd struct {
	wall   time.Time
	timed  bool // wall counts
	uptime time.Duration
	never  bool
}

func (m *model) over(e modelEnd, now time.Time, known bool) bool {
	if e.never {
		return false
	}
	if known && e.timed && now.Compare(e.wall) >= 0 {
		return true
	}
	return m.uptime >= e.uptime
}

func (m *model) may(who peer.ID, device, property string, now time.Time, known bool) bool {
	for _, r := range m.rights {
		if r.who != who || m.over(r.end, now, known) || (r.property != "*" && r.property != property) {
			continue
		}
		if r.device == device || (r.device == "*" && r.covers[device]) {
			return true
		}
	}
	return false
}

func (m *model) known(who peer.ID, now time.Time, known bool) bool {
	return slices.ContainsFunc(m.rights, func(r modelRight) bool { return r.who == who && !m.over(r.end, now, known) })
}

func (m *model) open(now time.Time, known bool) bool {
	return slices.ContainsFunc(m.tickets, func(k *modelTicket) bool { return !k.dead && k.by == "" && !m.over(k.end, now, known) })
}

func (m *model) redeem(k *modelTicket, who peer.ID, right bool, now time.Time, known bool) bool {
	switch {
	case k.dead || k.wrong[who] >= 5:
		return false
	case !right:
		k.wrong[who]++
		return false
	case k.by != "":
		return k.by == who
	case m.over(k.end, now, known):
		return false
	}
	k.by = who
	for _, d := range k.devices {
		for _, p := range k.properties {
			covers := map[string]bool{}
			for c, ok := range k.covers {
				covers[c] = ok
			}
			m.rights = append(m.rights, modelRight{who, d, p, covers, m.end(k.rightsFor, now, known)})
		}
	}
	return true
}

func (m *model) end(d time.Duration, now time.Time, known bool) modelEnd {
	return modelEnd{wall: now.Add(d), timed: known, uptime: m.uptime + d, never: d == 0}
}

func (m *model) drop(device string) {
	m.rights = slices.DeleteFunc(m.rights, func(r modelRight) bool { return r.device == device })
	for _, r := range m.rights {
		r.covers[device] = false
	}
	for _, k := range m.tickets {
		if k.by != "" {
			continue
		}
		k.devices = slices.DeleteFunc(k.devices, func(d string) bool { return d == device })
		k.covers[device] = false
		k.dead = k.dead || len(k.devices) == 0
	}
}

func (m *model) revoke(who peer.ID) bool {
	n := len(m.rights)
	m.rights = slices.DeleteFunc(m.rights, func(r modelRight) bool { return r.who == who })
	if len(m.rights) == n {
		return false
	}
	for _, k := range m.tickets {
		k.dead = k.dead || k.by == who
	}
	return true
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// TestAgreesWithTheModel does random things to both and compares every answer after each.
func TestAgreesWithTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 11))
		b, m := newBench(t), &model{}
		defer func() { b.close() }()
		peers := somePeers(t)
		devices, properties := []string{kitchen, garden}, []string{"temperature", "humidity"}
		cases := 0
		for step := 0; cases < 12_000; step++ {
			now, quality := b.clock()
			known := quality != reading.TimeUnknown
			before := answers(b, peers, devices, properties)
			generation := b.a.Generation()
			timeless := true
			var did string
			switch n := r.IntN(100); {
			case n < 20:
				did = "share"
				k := &modelTicket{covers: map[string]bool{kitchen: true, garden: true}, wrong: map[peer.ID]int{}}
				k.devices = [][]string{{kitchen}, {garden}, {kitchen, garden}, {"*"}}[r.IntN(4)]
				k.properties = [][]string{{"temperature"}, {"temperature", "humidity"}, {"*"}}[r.IntN(3)]
				k.rightsFor = pick(r, []time.Duration{0, time.Hour, 24 * time.Hour})
				ttl := pick(r, []time.Duration{time.Minute, time.Hour, 24 * time.Hour})
				k.Ticket = b.share(ShareRequest{Label: fmt.Sprint("label", step), Devices: slices.Clone(k.devices), Properties: k.properties, TicketFor: ttl, RightsFor: k.rightsFor})
				k.devices = slices.Clone(k.devices)
				k.end = m.end(ttl, now, known)
				m.tickets = append(m.tickets, k)
			case n < 60 && len(m.tickets) > 0:
				did = "redeem"
				k, who, right := pick(r, m.tickets[max(0, len(m.tickets)-6):]), pick(r, peers), r.IntN(5) > 0
				used := k.Ticket
				if !right {
					used.Secret = []byte("wrong")
				}
				_, err := b.redeem(who, used)
				if want := m.redeem(k, who, right, now, known); want != (err == nil) {
					t.Fatalf("step %d: redeem gives %v, the model %v", step, err, want)
				}
			case n < 66:
				did = "revoke"
				who := pick(r, peers)
				_, err := b.a.Revoke(context.Background(), who.String(), "test")
				if want := m.revoke(who); want != (err == nil) {
					t.Fatalf("step %d: revoke gives %v, the model %v", step, err, want)
				}
			case n < 70:
				did = "drop"
				d := pick(r, devices)
				if err := b.a.DropDevice(context.Background(), d); err != nil {
					t.Fatal(err)
				}
				m.drop(d)
			case n < 88:
				did, timeless = "wait", false
				d := pick(r, []time.Duration{time.Second, time.Minute, 20 * time.Minute, 2 * time.Hour})
				time.Sleep(d)
				m.uptime += d
			case n < 93:
				did, timeless = "clock", false
				b.setClock(pick(r, []time.Duration{-time.Hour, time.Hour, 30 * time.Minute}),
					pick(r, []reading.TimeQuality{reading.TimeSynchronised, reading.TimeHoldover, reading.TimeUnknown}))
			case n < 96:
				did, timeless = "restart", false
				b.close()
				time.Sleep(time.Hour)
				b.open()
				for _, k := range m.tickets {
					clear(k.wrong)
				}
			default:
				continue
			}
			after := answers(b, peers, devices, properties)
			if timeless && after != before && b.a.Generation() == generation {
				t.Fatalf("step %d, %s: the answers changed and the generation did not", step, did)
			}
			now, quality = b.clock()
			want := expected(m, peers, devices, properties, now, quality != reading.TimeUnknown)
			if after != want {
				t.Fatalf("step %d, %s:\n got %s\nwant %s", step, did, after, want)
			}
			cases += len(after)
		}
	})
}

// answers writes every answer as one letter.
func answers(b *bench, peers []peer.ID, devices, properties []string) string {
	return table(peers, devices, properties, b.may, b.a.Known, b.a.Open)
}

func expected(m *model, peers []peer.ID, devices, properties []string, now time.Time, known bool) string {
	return table(peers, devices, properties,
		func(who peer.ID, d, p string) bool { return m.may(who, d, p, now, known) },
		func(who peer.ID) bool { return m.known(who, now, known) },
		func() bool { return m.open(now, known) })
}

func table(peers []peer.ID, devices, properties []string, may func(peer.ID, string, string) bool, known func(peer.ID) bool, open func() bool) string {
	letters := map[bool]byte{true: 'y', false: '-'}
	var s []byte
	for _, who := range peers {
		for _, d := range devices {
			for _, p := range properties {
				s = append(s, letters[may(who, d, p)])
			}
		}
		s = append(s, letters[known(who)])
	}
	return string(append(s, letters[open()]))
}
