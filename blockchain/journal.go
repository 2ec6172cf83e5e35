package blockchain

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// The kinds of frames in the journal (docs/protocol/ledger.md, section 7).
const (
	kindEntry      = 'E' // a record
	kindCheckpoint = 'C' // the signed checkpoint that closes a batch
	kindPrivate    = 'W' // what only this gateway may know: never served, not in the tree
)

const (
	frameHead     = 5 // u32 length of the payload, kind
	frameOverhead = frameHead + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrCorrupt is answered for a journal that was damaged after it had been written. Nothing is changed in it.
var ErrCorrupt = errors.New("the ledger's journal is damaged")

// span is where a payload stands in the journal.
type span struct {
	offset int64
	length int
}

// batch is what is written and made durable together: private frames, then records, then one checkpoint over them.
type batch struct {
	private    [][]byte
	entries    [][]byte
	spans      []span // of the entries; filled by the journal
	checkpoint []byte // nil only for private frames that no checkpoint followed yet
}

// journal is the ledger's one file. It is not safe for concurrent use, except read beside append.
type journal struct {
	file   file
	size   int64 // bytes written and durable
	last   int64 // start of the last batch
	broken error // the first I/O error; nothing is written after it

	cut           int64 // bytes of an unfinished batch dropped at opening
	writes, syncs uint64
}

// openJournal reads f from its start, gives every whole batch to replay, and drops an unfinished last one. An error of
// replay means that a batch does not fit: the journal is refused and left as it is.
func openJournal(f file, replay func(batch) error) (*journal, error) {
	j := &journal{file: f}
	tail, err := j.scan(replay)
	if err != nil {
		return nil, err
	}
	if err := j.settle(tail); err != nil {
		return nil, err
	}
	return j, nil
}

// scan replays the journal. It gives the file's size; j.size ends at the last byte worth keeping.
func (j *journal) scan(replay func(batch) error) (int64, error) {
	in := &frameReader{in: bufio.NewReaderSize(io.NewSectionReader(j.file, 0, math.MaxInt64), 1<<16)}
	var b batch
	var batchStart int64 // behind the last checkpoint
	for {
		at := in.offset
		kind, payload, err := in.next()
		if err == nil && kind == kindPrivate && len(b.entries) > 0 {
			err = errFrame // a batch's private frames come before its records
		}
		var bad *frameError
		switch {
		case errors.Is(err, io.EOF):
			return in.offset, nil
		case errors.As(err, &bad):
			return j.judgeTail(at, bad)
		case err != nil:
			return 0, fmt.Errorf("read journal at byte %d: %w", at, err)
		}
		switch kind {
		case kindEntry:
			b.entries = append(b.entries, payload)
			b.spans = append(b.spans, span{at + frameHead, len(payload)})
			continue
		case kindCheckpoint:
			b.checkpoint = payload
		case kindPrivate:
			b.private = [][]byte{payload}
		}
		if err := replay(b); errors.Is(err, ErrNewer) {
			return 0, fmt.Errorf("read journal at byte %d: %w", at, err)
		} else if err != nil {
			return 0, corrupt(at, err)
		}
		j.size = in.offset
		if kind == kindCheckpoint {
			j.last, batchStart = batchStart, in.offset
		}
		b = batch{}
	}
}

// judgeTail decides about a bad frame at the given offset: an unfinished write, which was never acknowledged and may
// be dropped, or damage to something that was. It gives the file's size.
func (j *journal) judgeTail(at int64, bad *frameError) (int64, error) {
	if bad.whole {
		// A write that power cut short leaves the file short or zeros at its end, not a whole frame of other bytes.
		return 0, corrupt(at, bad)
	}
	w := &window{file: j.file, start: at}
	for {
		kind, end, err := w.frame()
		if errors.Is(err, io.EOF) {
			return w.end(), nil
		}
		if err != nil {
			return 0, fmt.Errorf("read journal at byte %d: %w", w.start, err)
		}
		if kind == kindCheckpoint || kind == kindPrivate {
			return 0, corrupt(at, fmt.Errorf("%w, and what was written after it, up to byte %d, is whole", bad, end))
		}
		w.start++
	}
}

func corrupt(at int64, cause error) error {
	return fmt.Errorf("%w at byte %d: %w; nothing was changed. Restore the file from a backup or a mirror of this log; "+
		"do not delete it, or the log key can never be used again", ErrCorrupt, at, cause)
}

// settle drops what follows j.size and writes the last batch once more in place. After a failed fdatasync the kernel
// may hold, and read back, pages that never reached the disk and never will; the same bytes written again do.
func (j *journal) settle(fileSize int64) error {
	if fileSize > j.size {
		j.cut = fileSize - j.size
		if err := j.file.Truncate(j.size); err != nil {
			return fmt.Errorf("drop unfinished batch: %w", err)
		}
	}
	again := make([]byte, j.size-j.last)
	if _, err := j.file.ReadAt(again, j.last); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read last batch: %w", err)
	}
	return j.write(again, j.last)
}

// append writes b in one write and makes it durable. After an error nobody knows what the disk holds, so the journal
// refuses everything until it is opened again.
func (j *journal) append(b batch) ([]span, error) {
	var buf []byte
	for _, p := range b.private {
		buf = appendFrame(buf, kindPrivate, p)
	}
	spans := make([]span, len(b.entries))
	for i, e := range b.entries {
		spans[i] = span{j.size + int64(len(buf)) + frameHead, len(e)}
		buf = appendFrame(buf, kindEntry, e)
	}
	buf = appendFrame(buf, kindCheckpoint, b.checkpoint)
	if err := j.write(buf, j.size); err != nil {
		return nil, err
	}
	j.last = j.size
	j.size += int64(len(buf))
	return spans, nil
}

func (j *journal) write(buf []byte, at int64) error {
	if j.broken != nil {
		return j.broken
	}
	j.writes++
	if _, err := j.file.WriteAt(buf, at); err != nil {
		j.broken = fmt.Errorf("write journal: %w", err)
		return j.broken
	}
	j.syncs++
	if err := j.file.Datasync(); err != nil {
		j.broken = fmt.Errorf("make journal durable: %w", err)
		return j.broken
	}
	return nil
}

// read gives the payload at s, checked once more against its checksum.
func (j *journal) read(s span) ([]byte, error) {
	buf := make([]byte, s.length+frameOverhead)
	if _, err := j.file.ReadAt(buf, s.offset-frameHead); err != nil {
		return nil, fmt.Errorf("read journal at byte %d: %w", s.offset, err)
	}
	if crc32.Checksum(buf[:frameHead+s.length], castagnoli) != binary.BigEndian.Uint32(buf[frameHead+s.length:]) {
		return nil, corrupt(s.offset, errFrame)
	}
	return buf[frameHead : frameHead+s.length], nil
}
