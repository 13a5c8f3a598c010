package disk

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"pgregory.net/rapid"
)

// served is serves in its plain form: the largest n such that the first n items of both are the
// same at the same positions and both may be cut there.
func served(r, q *kv.Prompt, whole bool) int {
	for n := min(len(r.Items), len(q.Items)); n > 0; n-- {
		equal := true
		for i := range n {
			equal = equal && r.Items[i] == q.Items[i] && r.Pos[i] == q.Pos[i]
		}
		if equal && r.Cut(n) == n && q.Cut(n) == n && (!whole || n == len(r.Items)) {
			return n
		}
	}
	return 0
}

// TestLongestIsTheLongest compares the index with a look at every record, while records come and
// go.
func TestLongestIsTheLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pictures kv.Pictures
		var x index
		whole := rapid.Bool().Draw(t, "whole only")
		prompts := map[*record]*kv.Prompt{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p := drawPrompt(t, &pictures)
			if len(prompts) > 0 && rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				r := x.sorted[rapid.IntRange(0, len(x.sorted)-1).Draw(t, "which")]
				x.remove(r)
				delete(prompts, r)
			} else {
				r := &record{prompt: x.prompt(p, pictures.Key, true), bytes: rapid.Int64Range(1,
					9).Draw(t, "bytes")}
				x.add(r)
				prompts[r] = p
			}
			for i, r := range x.sorted {
				if i > 0 && (compare(x.sorted[i-1].items, r.items) > 0 ||
					r.shared != kv.Common(x.sorted[i-1].items, r.items)) {
					t.Fatalf("record %d is out of order, or shares other than %d items", i,
						r.shared)
				}
			}
			p = drawPrompt(t, &pictures)
			n, bytes := 0, int64(0)
			for r, other := range prompts {
				if m := served(other, p, whole); m > n || m > 0 && m == n && r.bytes < bytes {
					n, bytes = m, r.bytes
				}
			}
			q := x.prompt(p, pictures.Key, false)
			r, got := x.longest(&q, whole)
			if got != n || r != nil && r.bytes != bytes || (r == nil) != (n == 0) {
				t.Fatalf("%d items of %v, not %d of %d bytes", got, r, n, bytes)
			}
			for r := range prompts {
				found := map[*record]bool{}
				for other := range x.within(r, whole) {
					found[other] = true
				}
				for other := range prompts {
					if want := served(prompts[r], prompts[other],
						whole) == len(prompts[other].Items); want != found[other] {
						t.Fatalf("%v is within %v: %v", prompts[other], prompts[r], found[other])
					}
				}
			}
		}
	})
}

func TestPositionsDecide(t *testing.T) {
	var x index
	var pictures kv.Pictures
	p := tokens(1, 2, 3, 4)
	x.add(&record{prompt: x.prompt(p, pictures.Key, true)})
	moved := tokens(1, 2, 3, 4)
	moved.Pos[2], moved.Pos[3], moved.Next = 5, 6, 7
	q := x.prompt(moved, pictures.Key, false)
	if _, n := x.longest(&q, false); n != 2 {
		t.Errorf("%d items that stand at the same positions, not 2", n)
	}
}

func BenchmarkLongest(b *testing.B) {
	for _, entries := range []int{100, 5000} {
		b.Run(fmt.Sprint(entries, " entries of 4000 items"), func(b *testing.B) {
			var x index
			var pictures kv.Pictures
			r := rand.New(rand.NewPCG(1, 2))
			for range entries { // all share the first 1000 items, tens of them the first 3000
				p := tokens(count(0, 1000)...)
				picture(p, pictures.Number(key(r.IntN(entries/10))), 2000, false)
				for len(p.Items) < 4000 {
					p.Items = append(p.Items, kv.TokenItem(llama.Token(r.IntN(32000))))
					p.Pos = append(p.Pos, p.Next)
					p.Next++
				}
				x.add(&record{prompt: x.prompt(p, pictures.Key, true), bytes: int64(r.IntN(1000))})
			}
			p := tokens(count(0, 1000)...)
			picture(p, pictures.Number(key(3)), 2000, false)
			b.ResetTimer()
			for b.Loop() {
				q := x.prompt(p, pictures.Key, false)
				if _, n := x.longest(&q, false); n != 3000 {
					b.Fatal(n)
				}
			}
		})
	}
}
