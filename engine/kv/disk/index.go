package disk

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
)

// index finds the record with the longest common prefix. Records stand in the lexical order of
// their items: the one that shares most with a prompt is then beside the place where the prompt
// would stand, and a binary search finds it.
type index struct {
	numbers map[kv.Key]uint32    // of the pictures of records
	used    map[uint32]*numbered // by number
	last    uint32               // number that was given
	swept   uint32               // what last was when sweep looked through them
	sorted  []*record
}

// numbered is a picture that has a number.
type numbered struct {
	key     kv.Key
	records int // that show it
}

// record is a file as the index knows it.
type record struct {
	prompt
	file   string
	model  string
	name   string
	saved  time.Time
	bytes  int64
	sum    uint32 // of the head: it tells the file from others that had or will have its name
	used   uint64 // the store's clock when it was last used
	shared int    // items in common with the record before it in the index
}

// prompt is a kv.Prompt whose pictures are numbered by the index.
type prompt struct {
	items []kv.Item
	pos   []llama.Pos // nil where item i stands at position i, as it does without M-RoPE
	whole [][2]int
}

// unknown stands for the pictures of a prompt that no record has.
const unknown = math.MaxUint32

// prompt numbers the pictures of p, of which key returns the keys. Pictures that are new to the
// index get a number if add is set.
func (x *index) prompt(p *kv.Prompt, key func(uint32) (kv.Key, bool), add bool) prompt {
	q := prompt{items: make([]kv.Item, len(p.Items)), whole: p.Whole}
	from, to := uint32(0), uint32(0)
	for i, it := range p.Items {
		if it.Picture != from {
			from, to = it.Picture, unknown
			if from == 0 {
				to = 0
			} else if k, ok := key(from); ok {
				to = x.number(k, add)
			}
		}
		q.items[i] = kv.Item{Picture: to, Value: it.Value}
	}
	for i, pos := range p.Pos {
		if int(pos) != i {
			q.pos = p.Pos
			break
		}
	}
	return q
}

func (x *index) number(k kv.Key, add bool) uint32 {
	n, ok := x.numbers[k]
	if !ok {
		if !add {
			return unknown
		}
		if x.numbers == nil {
			x.numbers, x.used = map[kv.Key]uint32{}, map[uint32]*numbered{}
		}
		x.last++
		n = x.last
		x.numbers[k], x.used[n] = n, &numbered{key: k}
	}
	return n
}

func compare(a, b []kv.Item) int {
	n := kv.Common(a, b)
	if n == len(a) || n == len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return cmp.Or(cmp.Compare(a[n].Picture, b[n].Picture), cmp.Compare(a[n].Value, b[n].Value))
}

// place returns where items belong: before the first record that is not less.
func (x *index) place(items []kv.Item) int {
	return sort.Search(len(x.sorted), func(i int) bool {
		return compare(x.sorted[i].items, items) >= 0
	})
}

// count notes that one record more or less shows its pictures.
func (x *index) count(r *record, by int) {
	seen := map[uint32]bool{0: true}
	for _, it := range r.items {
		if p := x.used[it.Picture]; p != nil && !seen[it.Picture] {
			p.records += by
		}
		seen[it.Picture] = true
	}
}

// recentNumbers of pictures are kept though no record shows them: that of a record which is being
// written is not there yet.
const recentNumbers = 1024

// sweep takes back the numbers, which are not given again, of pictures that no record shows any
// more. It runs once in so many numbers.
func (x *index) sweep() {
	if x.last-x.swept < recentNumbers {
		return
	}
	x.swept = x.last
	for n, p := range x.used {
		if p.records == 0 && n+recentNumbers <= x.last {
			delete(x.numbers, p.key)
			delete(x.used, n)
		}
	}
}

func (x *index) add(r *record) {
	x.count(r, 1)
	x.sweep()
	at := x.place(r.items)
	x.sorted = slices.Insert(x.sorted, at, r)
	r.shared = 0
	if at > 0 {
		r.shared = kv.Common(x.sorted[at-1].items, r.items)
	}
	if at+1 < len(x.sorted) {
		next := x.sorted[at+1]
		next.shared = kv.Common(r.items, next.items)
	}
}

func (x *index) remove(r *record) {
	at := slices.Index(x.sorted, r)
	if at < 0 {
		return
	}
	if at+1 < len(x.sorted) { // in lexical order, what three share the outer two share
		next := x.sorted[at+1]
		next.shared = min(next.shared, r.shared)
	}
	x.sorted = slices.Delete(x.sorted, at, at+1)
	x.count(r, -1)
}

// near yields the records that share a prefix with items, and its length: first those before the
// place of items, then those from there on, each time with falling lengths. least is asked before
// each: records that share less are not wanted.
func (x *index) near(items []kv.Item, least func() int) iter.Seq2[*record, int] {
	return func(yield func(*record, int) bool) {
		at := x.place(items)
		if at > 0 {
			n := kv.Common(x.sorted[at-1].items, items)
			for i := at - 1; i >= 0 && n > 0 && n >= least(); i-- {
				if !yield(x.sorted[i], n) {
					return
				}
				n = min(n, x.sorted[i].shared)
			}
		}
		if at < len(x.sorted) {
			n := kv.Common(x.sorted[at].items, items)
			for i := at; n > 0 && n >= least(); i++ {
				if !yield(x.sorted[i], n) || i+1 == len(x.sorted) {
					return
				}
				n = min(n, x.sorted[i+1].shared)
			}
		}
	}
}

// longest returns the record that serves the longest prefix of q, the smallest of them, and the
// length; nil and 0 if none does.
func (x *index) longest(q *prompt, whole bool) (best *record, n int) {
	for r, common := range x.near(q.items, func() int { return n }) {
		m := serves(&r.prompt, q, common, whole)
		if m > n || m > 0 && m == n && r.bytes < best.bytes {
			best, n = r, m
		}
	}
	return best, n
}

// within yields the records that are of no use beside r: it serves all that they have.
func (x *index) within(r *record, whole bool) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for other, n := range x.near(r.items, func() int { return 1 }) {
			if n == len(other.items) && serves(&r.prompt, &other.prompt, n, whole) == n &&
				!yield(other) {
				return
			}
		}
	}
}

// serves returns how many items of q the cells of r give, where they have n items in common: the
// items must stand at the same positions, and neither prompt may be cut inside what is a whole. If
// whole is set, r itself cannot be cut.
func serves(r, q *prompt, n int, whole bool) int {
	if r.pos != nil || q.pos != nil {
		for i := range n {
			if r.position(i) != q.position(i) {
				n = i
				break
			}
		}
	}
	for {
		m := q.cut(r.cut(n))
		if m == n {
			break
		}
		n = m
	}
	if whole && n < len(r.items) {
		return 0
	}
	return n
}

func (p *prompt) position(i int) llama.Pos {
	if p.pos == nil {
		return llama.Pos(i)
	}
	return p.pos[i]
}

func (p *prompt) cut(n int) int { return (&kv.Prompt{Whole: p.whole}).Cut(n) }
