package media

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media/disk"
)

func TestKeysTellFilesTowersAndPartsApart(t *testing.T) {
	seen := map[kv.Key]string{}
	for _, file := range []string{"", "a", "b"} {
		for _, tower := range []string{"", "t", "t\x00", "u"} {
			for _, part := range []int{0, 1, 256} {
				k, name := Key(Sum([]byte(file)), tower, part), fmt.Sprintf("%q %q %d", file, tower,
					part)
				if other, ok := seen[k]; ok {
					t.Errorf("%s and %s have the same key", name, other)
				}
				seen[k] = name
				if k != Key(Sum([]byte(file)), tower, part) {
					t.Errorf("%s has two keys", name)
				}
			}
		}
	}
}

// plainCache is the cache as its comment has it, without a thought for speed.
type plainCache struct {
	limit   int64
	clock   int
	entries map[kv.Key]*plainEntry
	stats   Stats
}

type plainEntry struct {
	rows          []float32
	holders, used int
}

func (c *plainCache) get(k kv.Key) ([]float32, bool) {
	e := c.entries[k]
	if e == nil {
		c.stats.Misses++
		return nil, false
	}
	c.stats.Hits++
	e.holders++
	return e.rows, true
}

func (c *plainCache) put(k kv.Key, rows []float32) []float32 {
	if c.entries[k] == nil {
		c.entries[k] = &plainEntry{rows: rows}
	}
	e := c.entries[k]
	e.holders++
	c.evict()
	return e.rows
}

func (c *plainCache) release(k kv.Key) {
	e := c.entries[k]
	e.holders--
	if e.holders == 0 {
		c.clock++
		e.used = c.clock
	}
	c.evict()
}

func (c *plainCache) evict() {
	for c.statistics().Bytes > c.limit {
		var oldest *plainEntry
		var key kv.Key
		for k, e := range c.entries {
			if e.holders == 0 && (oldest == nil || e.used < oldest.used) {
				oldest, key = e, k
			}
		}
		if oldest == nil {
			return
		}
		delete(c.entries, key)
		c.stats.Evictions++
	}
}

func (c *plainCache) statistics() Stats {
	s := c.stats
	s.Entries = len(c.entries)
	for _, e := range c.entries {
		s.Bytes += 4 * int64(len(e.rows))
		if e.holders > 0 {
			s.HeldBytes += 4 * int64(len(e.rows))
		}
	}
	return s
}

func TestCacheCountsAndEvictsLikeThePlainOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(-1, 200).Filter(func(n int64) bool {
			return n != 0
		}).Draw(t, "limit")
		c, err := NewCache(Options{Bytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		plain := &plainCache{limit: max(0, limit), entries: map[kv.Key]*plainEntry{}}
		type holder struct {
			key  kv.Key
			rows *Embeddings
			want []float32
		}
		var held []holder
		hold := func(k kv.Key, e *Embeddings, want []float32) {
			if !slices.Equal(e.Rows(), want) {
				t.Fatalf("rows %v, want %v", e.Rows(), want)
			}
			held = append(held, holder{k, e, want})
		}
		key := rapid.Custom(func(t *rapid.T) kv.Key {
			return kv.Key{byte(rapid.IntRange(0, 7).Draw(t, "key"))}
		})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, rows := key.Draw(t, "k"), rapid.SliceOfN(rapid.Float32(), 0, 30).Draw(t, "rows")
				rows = append(make([]float32, 0, len(rows)), rows...)
				want := plain.put(k, rows)
				hold(k, c.Put(k, rows), want)
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "k")
				want, ok := plain.get(k)
				e, got := c.Get(k)
				if got != ok {
					t.Fatalf("found: %v, want %v", got, ok)
				}
				if ok {
					hold(k, e, want)
				}
			},
			"release": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip("nothing is held")
				}
				i := rapid.IntRange(0, len(held)-1).Draw(t, "i")
				plain.release(held[i].key)
				held[i].rows.Release()
				held[i].rows.Release()
				if held[i].rows.Rows() != nil {
					t.Fatal("rows after Release")
				}
				held = slices.Delete(held, i, i+1)
			},
			"": func(t *rapid.T) {
				s := c.Stats()
				if want := plain.statistics(); s != want {
					t.Fatalf("%+v, want %+v", s, want)
				}
				if s.Bytes > max(plain.limit, s.HeldBytes) {
					t.Fatalf("%d bytes, %d held, limit %d", s.Bytes, s.HeldBytes, plain.limit)
				}
				for _, h := range held {
					if !slices.Equal(h.rows.Rows(), h.want) {
						t.Fatal("held rows changed")
					}
				}
			},
		})
	})
}

func TestManyGoroutinesShareACache(t *testing.T) {
	c := newCache(t, Options{Bytes: 400, Dir: t.TempDir(), DiskBytes: 6 * disk.Size(20)})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				n := (g*7 + i*3) % 10
				k := kv.Key{byte(n)}
				e, err := c.fetch(t.Context(), k, 20)
				if err != nil {
					t.Error(err)
				}
				if e == nil {
					e = c.Put(k, ramp(float32(n), 20))
				}
				if !slices.Equal(e.Rows(), ramp(float32(n), 20)) {
					t.Errorf("picture %d has rows %v", n, e.Rows())
				}
				e.Release()
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s := c.Stats()
	if s.HeldBytes != 0 || s.Bytes > 400 || s.Bytes != 80*int64(s.Entries) {
		t.Errorf("%+v", s)
	}
	if s.Disk.Files == 0 || s.Disk.Bytes > 6*disk.Size(20) || s.Disk.Damaged != 0 ||
		s.Disk.LastError != nil {
		t.Errorf("%+v", s.Disk)
	}
}
