package batch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// errFull marks a queue that takes nothing at all now, and waits until it has room.
var errFull = fmt.Errorf("%w for anything", ErrNoRoom)

// untilRoom has retry wait where there is no room.
func untilRoom(err error) error {
	if errors.Is(err, ErrNoRoom) && !errors.Is(err, errFull) {
		return fmt.Errorf("%w: %w", errFull, err)
	}
	return err
}

// fullError is errFull in words that say what to do.
type fullError struct{ text string }

func (e *fullError) Error() string        { return e.text }
func (e *fullError) Is(target error) bool { return target == errFull || target == ErrNoRoom }

// storeDisk is the disk of a store in this process. JetStream, once it met a full disk, takes no
// further message until it starts again. So the last bytes of the disk are left to what JetStream
// writes by itself, and to the short reasons of failures.
type storeDisk struct {
	dir  string
	free func() int64 // bytes that are free; tests have their own
	keep int64        // bytes that stay free
	sick atomic.Bool  // JetStream has met a full disk

	reserving sync.Mutex
	onTheWay  atomic.Int64 // bytes of messages that were sent and have not arrived
}

// The share of a disk that is kept free, within bounds in bytes.
const (
	keepShare = 50
	keepLeast = 1 << 20
	keepMost  = 32 << 20
)

func newStoreDisk(dir string) *storeDisk {
	d := &storeDisk{dir: dir, keep: keepLeast}
	d.free = func() int64 { _, free := diskBytes(dir); return free }
	total, _ := diskBytes(dir)
	d.keep = min(max(total/keepShare, keepLeast), keepMost)
	return d
}

// diskBytes is how large the disk of a folder is, and what of it is free for whoever asks.
func diskBytes(dir string) (total, free int64) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Bsize <= 0 {
		return math.MaxInt64, math.MaxInt64
	}
	bytes := func(blocks uint64) int64 {
		size := uint64(st.Bsize)                             //nolint:unconvert // the types differ between systems
		return int64(min(blocks, math.MaxInt64/size) * size) //nolint:gosec // bounded
	}
	return bytes(st.Blocks), bytes(st.Bavail)
}

// cargo is what is stored: what there is no room for differs.
type cargo int

const (
	message cargo = iota
	object        // finds no room where messages still do
	reason        // why an item has no answer: may take of what is kept free
)

// reserve counts bytes as on their way to the disk, until release is called, where it has room for
// them beside all others that are. An error is that of fits.
func (d *storeDisk) reserve(size int, what cargo) (release func(), err error) {
	d.reserving.Lock()
	defer d.reserving.Unlock()
	if what != reason {
		if err := d.fits(size, what); err != nil {
			return nil, err
		}
	}
	d.onTheWay.Add(int64(size))
	return func() { d.onTheWay.Add(-int64(size)) }, nil
}

// fits is nil where the disk has room for so many bytes more. Else the error wraps ErrNoRoom where
// others still find room, and errFull where the disk is full. Objects find none where messages
// still do, lest results wait for the room of pictures that go only when their results are stored.
func (d *storeDisk) fits(size int, what cargo) error {
	if d.sick.Load() {
		return d.full()
	}
	free, keep := d.free()-d.onTheWay.Load(), d.keep
	if what == object {
		keep *= 2
	}
	switch {
	case free >= keep+int64(size):
		return nil
	case free < d.keep || size <= inlineMost:
		return d.full()
	}
	return fmt.Errorf("%w: %d MiB, and %s has %d MiB free", ErrNoRoom, int64(size)>>20, d.dir,
		(free-d.keep)>>20)
}

func (d *storeDisk) full() error {
	return &fullError{fmt.Sprintf("the disk of %s is full; the batch goes on when %d MiB are free",
		d.dir, 2*d.keep>>20)}
}

// heal watches a server until ctx is done, and starts its JetStream anew, once there is room, where
// it met a full disk. say is told of either.
func (d *storeDisk) heal(ctx context.Context, s *natsd.Server, say func(text string)) {
	config := natsd.JetStreamConfig{}
	if c := s.JetStreamConfig(); c != nil {
		config = *c
		config.StoreDir = strings.TrimSuffix(filepath.Clean(config.StoreDir),
			string(filepath.Separator)+natsd.JetStreamStoreDir) // which the server adds again
	}
	tick := time.NewTicker(healTime)
	defer tick.Stop()
	began := time.Time{} // of the last JetStream that was started here
	for told := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.JetStreamEnabled() && !d.sick.Load() {
			continue
		}
		d.sick.Store(true)
		if !told {
			told = true
			say(fmt.Sprintf("the disk of %s is full; waiting until %d MiB are free", d.dir,
				2*d.keep>>20))
		}
		// A quota that is used up does not show as a full disk: it is tried at times.
		if d.free() < 2*d.keep || time.Since(began) < healPause {
			continue
		}
		if s.ShutdownJetStream() != nil || s.JetStreamConfig() != nil {
			continue // it is just ending
		}
		next := config // which the server changes
		if s.EnableJetStream(&next) == nil {
			began = time.Now()
			d.sick.Store(false)
			told = false
			say("there is room on the disk of " + d.dir + " again")
		}
	}
}

const (
	healTime  = 300 * time.Millisecond // between looks at a server
	healPause = 5 * time.Second        // between two beginnings of its JetStream
)

// spaceWords are how JetStream's log tells that it met a full disk.
var spaceWords = []string{"no space left", "disk quota exceeded"}

// hear looks for a full disk in what a server logs. Nothing else tells of it: the message that did
// not fit gets no answer.
func (d *storeDisk) hear(line string) {
	for _, words := range spaceWords {
		if strings.Contains(line, words) {
			d.sick.Store(true)
		}
	}
}
