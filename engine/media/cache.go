package media

import (
	"cmp"
	"container/list"
	"fmt"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media/disk"
)

// What [Options] take for zero.
const (
	DefaultBytes     = 512 << 20
	DefaultDiskBytes = 4 << 30
)

// Options say how much a [Cache] keeps, and where.
type Options struct {
	// Bytes is the limit of what is kept in memory: 0 for DefaultBytes, less for nothing that
	// nobody holds. Embeddings that are held count, and stay even where they alone exceed the
	// limit.
	Bytes int64
	// Dir is the folder of the embeddings on disk, made if it is missing; empty for none. Caches of
	// several processes may share it.
	Dir string
	// DiskBytes is the limit of the files in Dir; 0 for DefaultDiskBytes.
	DiskBytes int64
}

// Cache keeps embeddings in memory, and on disk if it has a folder. Its methods may be called from
// several goroutines. None but Close waits for the disk.
type Cache struct {
	limit int64
	disk  *disk.Folder // nil for none

	mu      sync.Mutex
	entries map[kv.Key]*entry
	free    list.List // of *entry: those that nobody holds, the last used in front
	stats   Stats     // what concerns memory
}

// entry is the embeddings of one key.
type entry struct {
	key     kv.Key
	rows    []float32
	holders int
	free    *list.Element // its place in Cache.free, nil while it has holders
}

// size counts what the rows keep in memory.
func (e *entry) size() int64 { return 4 * int64(cap(e.rows)) }

// Stats counts what a [Cache] holds and did.
type Stats struct {
	// Entries and Bytes are what is in memory, HeldBytes that part of it which somebody holds.
	Entries          int
	Bytes, HeldBytes int64
	// Hits were found in memory, DiskHits on disk, Misses nowhere.
	Hits, DiskHits, Misses int64
	// Evictions were dropped from memory to keep to the limit.
	Evictions int64
	// Disk is about the files; zero without a folder.
	Disk disk.Stats
}

// NewCache makes a cache. With a folder it takes stock of the files there, and drops the least
// recently used ones beyond the limit.
func NewCache(o Options) (*Cache, error) {
	if o.DiskBytes < 0 {
		return nil, fmt.Errorf("media: a limit of %d bytes on disk", o.DiskBytes)
	}
	c := &Cache{limit: max(0, cmp.Or(o.Bytes, DefaultBytes)), entries: map[kv.Key]*entry{}}
	if o.Dir == "" {
		return c, nil
	}
	var err error
	c.disk, err = disk.Open(o.Dir, disk.Options{Bytes: cmp.Or(o.DiskBytes, DefaultDiskBytes)})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Embeddings are rows of a [Cache], held: they stay in it until Release.
type Embeddings struct {
	cache *Cache
	mu    sync.Mutex
	entry *entry // nil after Release
}

// Rows are the embeddings, row after row, shared by all who hold them: nobody may write to them.
// They are nil after Release.
func (e *Embeddings) Rows() []float32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.entry == nil {
		return nil
	}
	return e.entry.rows
}

// Release tells the cache that the holder is done with the rows. Releasing again does nothing.
func (e *Embeddings) Release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.entry != nil {
		e.cache.release(e.entry)
		e.entry = nil
	}
}

// share returns the same rows held once more; e is held.
func (e *Embeddings) share() *Embeddings {
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	e.entry.holders++
	return &Embeddings{cache: e.cache, entry: e.entry}
}

// Get returns the embeddings of a key, held, if they are in memory.
func (c *Cache) Get(k kv.Key) (*Embeddings, bool) {
	c.mu.Lock()
	e := c.hold(k)
	switch {
	case e != nil:
		c.stats.Hits++
	case c.disk == nil || !c.disk.Has(k): // what the disk has is counted when it is read
		c.stats.Misses++
	}
	c.mu.Unlock()
	if e == nil {
		return nil, false
	}
	if c.disk != nil {
		c.disk.Use(k, time.Now(), true)
	}
	return e, true
}

// Put keeps the embeddings of a key and returns them, held. The rows are the cache's from now on.
// Equal keys mean equal embeddings: if it has some already, it keeps those. Where it has a folder
// they are written there in the background; if more wait to be written than it has room for, these
// are not.
func (c *Cache) Put(k kv.Key, rows []float32) *Embeddings {
	c.mu.Lock()
	e, inserted := c.insert(k, rows)
	var saved *Embeddings
	if inserted && c.disk != nil {
		saved = c.hold(k) // what waits to be written is still in memory, so it counts there
	}
	c.mu.Unlock()
	if saved != nil {
		c.disk.Store(k, saved.Rows(), saved.Release)
	}
	return e
}

// load reads a key's embeddings from disk in the background, if they are there as far as is known.
// Then done is called, once, with nil if they turn out to be missing, damaged or not so many
// numbers. It runs on the cache's own goroutine and must not wait.
func (c *Cache) load(k kv.Key, values int, done func(*Embeddings)) bool {
	if c.disk == nil {
		return false
	}
	return c.disk.Load(k, values, func(rows []float32) {
		c.mu.Lock()
		var e *Embeddings
		if rows == nil {
			c.stats.Misses++
		} else {
			c.stats.DiskHits++
			e, _ = c.insert(k, rows)
		}
		c.mu.Unlock()
		done(e)
	})
}

// peek is Get for who has asked before: it counts nothing.
func (c *Cache) peek(k kv.Key) *Embeddings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hold(k)
}

// hold returns the embeddings of a key, nil if they are not in memory. The mutex is held.
func (c *Cache) hold(k kv.Key) *Embeddings {
	e := c.entries[k]
	if e == nil {
		return nil
	}
	if e.free != nil {
		c.free.Remove(e.free)
		e.free = nil
		c.stats.HeldBytes += e.size()
	}
	e.holders++
	return &Embeddings{cache: c, entry: e}
}

// insert adds embeddings, if there are none of the key, and returns those that it has then. The
// mutex is held.
func (c *Cache) insert(k kv.Key, rows []float32) (held *Embeddings, inserted bool) {
	if held := c.hold(k); held != nil {
		return held, false
	}
	e := &entry{key: k, rows: rows, holders: 1}
	c.entries[k] = e
	c.stats.Bytes += e.size()
	c.stats.HeldBytes += e.size()
	c.evict()
	return &Embeddings{cache: c, entry: e}, true
}

// release takes a holder away. With the last, the entry becomes the most recently used of those
// that may go.
func (c *Cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.holders--
	if e.holders == 0 {
		c.stats.HeldBytes -= e.size()
		e.free = c.free.PushFront(e)
		c.evict()
	}
}

// evict keeps to the limit as far as entries may go. The mutex is held.
func (c *Cache) evict() {
	for c.stats.Bytes > c.limit && c.free.Len() > 0 {
		e := c.free.Remove(c.free.Back()).(*entry)
		delete(c.entries, e.key)
		c.stats.Bytes -= e.size()
		c.stats.Evictions++
	}
}

// Stats counts what the cache holds and did so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	s := c.stats
	s.Entries = len(c.entries)
	c.mu.Unlock()
	if c.disk != nil {
		s.Disk = c.disk.Stats()
	}
	return s
}

// Close writes what waits to be written and ends the use of the disk; what is in memory can still
// be had. Closing again does nothing.
func (c *Cache) Close() error {
	if c.disk != nil {
		c.disk.Close()
	}
	return nil
}
