package blockchain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const childEnv = "PEERBEE_LEDGER_TEST_CHILD"

func childDir() string { return os.Getenv(childEnv) }

// runChild is the process that gets killed: four callers register and release devices as fast as they can, and every
// acknowledged record is printed. It ends only by an error.
func runChild(dir string) error {
	keys, err := LoadOrCreateKeys(dir)
	if err != nil {
		return err
	}
	l, err := Open(context.Background(), Options{Dir: dir, Keys: keys, PeerID: testPeer})
	if err != nil {
		return err
	}
	ended := make(chan error, 5)
	go func() { ended <- l.Serve(context.Background()) }()
	var out sync.Mutex
	for worker := range 4 {
		go func() { ended <- l.churn(worker<<20, &out) }()
	}
	return <-ended
}

// churn registers devices and releases every other one.
func (l *Ledger) churn(base int, out *sync.Mutex) error {
	for n := int(l.Stats().Records); ; n++ {
		d := testDevice(base + n)
		for _, do := range []func(context.Context, DeviceID) (Receipt, error){l.Register, l.Release} {
			r, err := do(context.Background(), d)
			if err != nil {
				return err
			}
			out.Lock()
			_, err = fmt.Fprintln(os.Stdout, "ack", d, r.Record)
			out.Unlock()
			if err != nil {
				return err
			}
			if n%2 == 0 {
				break
			}
		}
	}
}

// TestKill kills a busy ledger again and again and then looks for every record it acknowledged.
func TestKill(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	acked := map[string]string{} // record to device
	for round := range rounds {
		killChild(t, dir, acked, round%3 == 0)
	}
	keys, err := LoadOrCreateKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Options{Dir: dir, Keys: keys, PeerID: testPeer})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	for record, device := range acked {
		d, err := ParseDeviceID(device)
		if err != nil {
			t.Fatal(err)
		}
		id, err := ParseRecordID(record)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := l.index[id]; !ok {
			t.Errorf("acknowledged record %s of device %s is lost", record, device)
		}
		if _, err := l.Owner(d); err != nil {
			t.Errorf("device %s: %v", device, err)
		}
	}
	if len(acked) < rounds {
		t.Errorf("only %d records were acknowledged in %d rounds: nothing was tested", len(acked), rounds)
	}
	if got, want := len(l.openings), len(l.state.chains); got != want {
		t.Errorf("%d openings for %d chains", got, want)
	}
	t.Logf("%d acknowledged records, %d in the ledger, %d kills", len(acked), l.Stats().Records, rounds)
}

// killChild starts a child and kills it while it starts, or at some moment after its first acknowledgement.
func killChild(t *testing.T, dir string, acked map[string]string, early bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var killer sync.Once
	killSoon := func() {
		killer.Do(func() {
			time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() {
				if err := cmd.Process.Kill(); err != nil {
					t.Errorf("kill: %v", err)
				}
			})
		})
	}
	if early {
		killSoon()
	}
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // an unfinished line was not read as acknowledged
		}
		if err != nil {
			t.Fatal(err)
		}
		killSoon()
		word := strings.Fields(line)
		if word[0] != "ack" {
			t.Fatalf("child: %s", line)
		}
		acked[word[2]] = word[1]
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
}
