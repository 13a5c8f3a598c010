package kv

import (
	"testing"
)

// manyEqual is a cache of 64 running sequences of 4096 items that differ in the last, and share
// nothing.
func manyEqual(b *testing.B) (*bench, *Prompt) {
	b.Helper()
	const sequences, n = 64, 4096
	c := New(Config{Memory: newFake(b, plain, 0, sequences), Cells: sequences * n,
		Sequences: sequences})
	for i := range sequences {
		p := text(count(0, n-1)...).add(10_000 + i)
		s, err := c.Open(p, true)
		if err != nil {
			b.Fatal(err)
		}
		s.private = false
		if err := c.Append(s, p, n); err != nil {
			b.Fatal(err)
		}
	}
	return &bench{Cache: c, t: b}, text(count(0, n)...)
}

// All sequences have all but the last item in common with the prompt: the worst case.
func BenchmarkMatch(b *testing.B) {
	c, p := manyEqual(b)
	for b.Loop() {
		if _, n := c.Match(p); n != 4095 {
			b.Fatal(n)
		}
	}
}

// A reader asks every step whether somebody is ahead of it, and mostly nobody is.
func BenchmarkCatch(b *testing.B) {
	c, _ := manyEqual(b)
	s := c.seqs[5]
	p := s.clone().add(5, 6)
	for b.Loop() {
		if n, err := c.ShareLate(s, p); n != 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAvailable(b *testing.B) {
	c, _ := manyEqual(b)
	n := 0
	for b.Loop() {
		n += c.Available()
	}
	if n != 0 {
		b.Fatal(n)
	}
}

// One cell is wanted, and 63 finished sequences could give it.
func BenchmarkVictim(b *testing.B) {
	c, _ := manyEqual(b)
	for _, s := range c.seqs[1:] {
		c.Finish(s)
	}
	for b.Loop() {
		if c.victim() == nil {
			b.Fatal("no victim")
		}
	}
}
