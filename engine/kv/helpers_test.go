package kv

import (
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// add appends tokens to a prompt.
func (p *Prompt) add(ids ...int) *Prompt {
	for _, id := range ids {
		p.Items, p.Pos = append(p.Items, TokenItem(llama.Token(id))), append(p.Pos, p.Next)
		p.Next++
	}
	return p
}

// count is the numbers from, from+1, … before to.
func count(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// text is a prompt of tokens.
func text(ids ...int) *Prompt { return new(Prompt).add(ids...) }

// picture appends rows of a picture, which cannot be cut if it is whole. With stride 0 they share a
// position, as with M-RoPE.
func (p *Prompt) picture(number uint32, rows int, whole bool, stride llama.Pos) *Prompt {
	from := len(p.Items)
	for i := range rows {
		p.Items, p.Pos = append(p.Items, Item{Picture: number, Value: int32(i)}),
			append(p.Pos, p.Next)
		p.Next += stride
	}
	if stride == 0 {
		p.Next += llama.Pos(rows)/2 + 1 // a picture is as long as its longer side
	}
	if whole {
		p.Whole = append(p.Whole, [2]int{from, from + rows})
	}
	return p
}

// clone shares nothing with p.
func (p *Prompt) clone() *Prompt {
	return &Prompt{Items: slices.Clone(p.Items), Pos: slices.Clone(p.Pos), Next: p.Next,
		Whole: slices.Clone(p.Whole)}
}

// bench is a cache over a fake memory.
type bench struct {
	*Cache
	t   testing.TB
	mem *fakeMemory
}

func newBench(t testing.TB, k kind, cells, sequences int, change ...func(*Config)) *bench {
	t.Helper()
	mem := newFake(t, k, cells, sequences)
	cfg := Config{Memory: mem, Cells: cells, Sequences: sequences, Rigid: k == rigid}
	if k == window {
		cfg.Window = fakeWindow
	}
	for _, c := range change {
		c(&cfg)
	}
	return &bench{Cache: New(cfg), t: t, mem: mem}
}

// check compares the books with the memory.
func (b *bench) check() {
	b.t.Helper()
	if err := b.mem.equal(b.Cache); err != nil {
		b.t.Fatal(err)
	}
}

// open opens a sequence and wants n items of it to stand.
func (b *bench) open(p *Prompt, n int) *Sequence {
	b.t.Helper()
	s, err := b.Open(p, false)
	if err != nil {
		b.t.Fatal(err)
	}
	if s.Len() != n || !s.Running {
		b.t.Fatalf("%d items stand, want %d (running: %v)", s.Len(), n, s.Running)
	}
	b.check()
	return s
}

// compute decodes items of p up to n.
func (b *bench) compute(s *Sequence, p *Prompt, n int) {
	b.t.Helper()
	if !b.Reserve(n - s.Len()) {
		b.t.Fatalf("no room for %d items, %d cells are available", n-s.Len(), b.Available())
	}
	for from := s.Len(); from < n; from = s.Len() {
		to := min(from+fakeBatch, n)
		if to = p.Cut(to); to == from { // a whole picture
			to = n
		}
		if err := b.mem.decode(s.ID, p, from, to); err != nil {
			b.t.Fatal(err)
		}
		if err := b.Append(s, p, to); err != nil {
			b.t.Fatal(err)
		}
	}
	b.check()
}

// run opens a prompt of which n items stand and computes the rest.
func (b *bench) run(p *Prompt, n int) *Sequence {
	b.t.Helper()
	s := b.open(p, n)
	b.compute(s, p, len(p.Items))
	return s
}

// keep makes a prompt cache.
func (b *bench) keep(p *Prompt) *Sequence {
	b.t.Helper()
	s, err := b.Open(p, true)
	if err != nil {
		b.t.Fatal(err)
	}
	b.compute(s, p, len(p.Items))
	b.Finish(s)
	b.check()
	return s
}

// standing is how many items of p stand.
func (b *bench) standing(p *Prompt) int {
	_, n := b.Match(p.clone().add(999)) // the last is never counted
	return n
}

// wantStanding wants n items of p to stand.
func (b *bench) wantStanding(what string, p *Prompt, n int) {
	b.t.Helper()
	if got := b.standing(p); got != n {
		b.t.Errorf("%s: %d items stand, want %d", what, got, n)
	}
}
