package grammar

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// dfa is a deterministic automaton over the characters of a string (not of its
// JSON spelling). State 0 is the start. A missing edge is a refusal.
// A grammar made from one leaves the sampler a single parse at every character.
type dfa struct {
	edges  [][]nfaEdge // disjoint sets, one edge for each target
	accept []bool
}

const (
	maxDFAStates = 3000
	maxDFAWork   = 4 << 20
)

// explore builds a dfa from any transition function: next lists the edges of a
// state key, with overlapping sets already split apart.
func explore(start string, accept func(string) bool, next func(string) []keyEdge) (*dfa, error) {
	d := &dfa{}
	ids := map[string]int{start: 0}
	queue := []string{start}
	unions := map[string]runeSet{} // of sets, by their first ranges: few sets make many edges
	for len(d.edges) < len(queue) {
		if len(queue) > maxDFAStates {
			return nil, errPatternSize
		}
		key := queue[len(d.edges)]
		byTarget := map[int][]runeSet{}
		var targets []int
		for _, e := range next(key) {
			id, seen := ids[e.key]
			if !seen {
				id = len(queue)
				ids[e.key] = id
				queue = append(queue, e.key)
			}
			if byTarget[id] == nil {
				targets = append(targets, id)
			}
			byTarget[id] = append(byTarget[id], e.set)
		}
		edges := make([]nfaEdge, 0, len(targets))
		for _, t := range targets {
			edges = append(edges, nfaEdge{union(unions, byTarget[t]), t})
		}
		d.edges = append(d.edges, edges)
		d.accept = append(d.accept, accept(key))
	}
	return d.trim(), nil
}

// union is that of sets, remembered in known.
func union(known map[string]runeSet, sets []runeSet) runeSet {
	if len(sets) == 1 {
		return sets[0]
	}
	var flat []int
	n := 0
	for _, s := range sets {
		n += len(s)
	}
	flat = make([]int, 0, 2*n)
	for _, s := range sets {
		for _, r := range s {
			flat = append(flat, int(r.lo), int(r.hi))
		}
	}
	key := packInts(flat)
	if u, ok := known[key]; ok {
		return u
	}
	all := make([]runeRange, 0, n)
	for _, s := range sets {
		all = append(all, s...)
	}
	u := newRuneSet(all...)
	known[key] = u
	return u
}

type keyEdge struct {
	set runeSet
	key string
}

func packInts(ints []int) string {
	b := make([]byte, 0, 4*len(ints))
	for _, v := range ints {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return string(b)
}

func unpackInts(s string) []int {
	out := make([]int, 0, len(s)/4)
	for ; len(s) > 0; s = s[4:] {
		out = append(out, int(binary.BigEndian.Uint32([]byte(s[:4]))))
	}
	return out
}

// trim drops states from which no text is accepted.
func (d *dfa) trim() *dfa {
	back := make([][]int, len(d.edges))
	for s, edges := range d.edges {
		for _, e := range edges {
			back[e.to] = append(back[e.to], s)
		}
	}
	live := make([]bool, len(d.edges))
	var work []int
	for s, ok := range d.accept {
		if ok {
			live[s] = true
			work = append(work, s)
		}
	}
	for len(work) > 0 {
		s := work[len(work)-1]
		work = work[:len(work)-1]
		for _, b := range back[s] {
			if !live[b] {
				live[b] = true
				work = append(work, b)
			}
		}
	}
	id := make([]int, len(d.edges))
	out := &dfa{}
	for s := range d.edges {
		if live[s] || s == 0 {
			id[s] = len(out.accept)
			out.accept = append(out.accept, d.accept[s])
		}
	}
	for s, edges := range d.edges {
		if !live[s] && s != 0 {
			continue
		}
		var kept []nfaEdge
		for _, e := range edges {
			if live[e.to] {
				kept = append(kept, nfaEdge{e.set, id[e.to]})
			}
		}
		out.edges = append(out.edges, kept)
	}
	return out
}

// minimize merges states that accept the same texts (Moore 1956).
func (d *dfa) minimize() *dfa {
	block := make([]int, len(d.edges))
	for s, ok := range d.accept {
		if ok {
			block[s] = 1
		}
	}
	for count := 0; ; {
		ids := map[string]int{}
		next := make([]int, len(block))
		for s, edges := range d.edges {
			byBlock := map[int][]runeRange{}
			for _, e := range edges {
				byBlock[block[e.to]] = append(byBlock[block[e.to]], e.set...)
			}
			sig := []int{block[s]}
			for _, b := range slices.Sorted(maps.Keys(byBlock)) {
				sig = append(sig, -1-b)
				for _, r := range newRuneSet(byBlock[b]...) {
					sig = append(sig, int(r.lo), int(r.hi))
				}
			}
			key := packInts(sig)
			id, seen := ids[key]
			if !seen {
				id = len(ids)
				ids[key] = id
			}
			next[s] = id
		}
		block = next
		if len(ids) == count {
			break
		}
		count = len(ids)
	}
	out := &dfa{}
	made := map[int]bool{}
	for s := range d.edges { // blocks are numbered in the order of their first states
		if made[block[s]] {
			continue
		}
		made[block[s]] = true
		byBlock := map[int]runeSet{}
		var targets []int
		for _, e := range d.edges[s] {
			b := block[e.to]
			if byBlock[b] == nil {
				targets = append(targets, b)
			}
			byBlock[b] = newRuneSet(append(slices.Clone(byBlock[b]), e.set...)...)
		}
		var edges []nfaEdge
		for _, b := range targets {
			edges = append(edges, nfaEdge{byBlock[b], b})
		}
		out.edges = append(out.edges, edges)
		out.accept = append(out.accept, d.accept[s])
	}
	return out
}

// empty reports whether d, trimmed, accepts nothing.
func (d *dfa) empty() bool { return len(d.edges[0]) == 0 && !d.accept[0] }

func (d *dfa) match(s string) bool {
	at := 0
next:
	for _, r := range s {
		for _, e := range d.edges[at] {
			if e.set.contains(r) {
				at = e.to
				continue next
			}
		}
		return false
	}
	return d.accept[at]
}

// combine accepts what both accept. With except set it accepts what d
// accepts and o does not.
func (d *dfa) combine(o *dfa, except bool) (*dfa, error) {
	dead := len(o.edges)
	work := 0
	// Sets repeat from state to state, as slices that are the same.
	type pair struct{ a, b *runeRange }
	common := map[pair]runeSet{}
	intersection := func(a, b runeSet) runeSet {
		if len(a) == 0 || len(b) == 0 {
			return nil
		}
		k := pair{&a[0], &b[0]}
		c, known := common[k]
		if !known {
			work += len(a) + len(b)
			c = a.intersect(b)
			common[k] = c
		}
		return c
	}
	type beside struct {
		a     *runeRange
		state int
	}
	rests := map[beside]runeSet{}
	// rest is what no edge of a state of o takes.
	rest := func(a runeSet, state int) runeSet {
		if state == dead || len(a) == 0 {
			return a
		}
		k := beside{&a[0], state}
		r, known := rests[k]
		if !known {
			r = a
			for _, b := range o.edges[state] {
				work += len(r) + len(b.set)
				r = r.intersect(b.set.complement())
			}
			rests[k] = r
		}
		return r
	}
	out, err := explore(packInts([]int{0, 0}), func(key string) bool {
		s := unpackInts(key)
		return d.accept[s[0]] && (s[1] != dead && o.accept[s[1]]) != except
	}, func(key string) []keyEdge {
		s := unpackInts(key)
		var out []keyEdge
		for _, a := range d.edges[s[0]] {
			if s[1] != dead {
				for _, b := range o.edges[s[1]] {
					if work++; work > maxDFAWork {
						return nil
					}
					if both := intersection(a.set, b.set); both != nil {
						out = append(out, keyEdge{both, packInts([]int{a.to, b.to})})
					}
				}
			}
			if except {
				if r := rest(a.set, s[1]); len(r) > 0 {
					out = append(out, keyEdge{r, packInts([]int{a.to, dead})})
				}
			}
		}
		return out
	})
	if err == nil && work > maxDFAWork {
		err = errPatternSize
	}
	return out, err
}

// anyText accepts every text of lo to hi characters; hi < 0 is unbounded.
func anyText(lo, hi int) (*dfa, error) {
	n := max(lo, hi) + 1
	if n > maxDFAStates {
		return nil, errors.New(
			"length limits this large cannot be combined with a pattern, format or property names")
	}
	d := &dfa{edges: make([][]nfaEdge, n), accept: make([]bool, n)}
	for i := range n {
		d.accept[i] = i >= lo
		switch {
		case i+1 < n:
			d.edges[i] = []nfaEdge{{anyRune, i + 1}}
		case hi < 0:
			d.edges[i] = []nfaEdge{{anyRune, i}}
		}
	}
	return d, nil
}

// exactly accepts the given texts.
func exactly(texts []string) (*dfa, error) {
	d := &dfa{edges: make([][]nfaEdge, 1), accept: make([]bool, 1)}
	for _, s := range texts {
		at := 0
	next:
		for _, r := range s {
			for _, e := range d.edges[at] {
				if e.set[0].lo == r {
					at = e.to
					continue next
				}
			}
			d.edges = append(d.edges, nil)
			d.accept = append(d.accept, false)
			d.edges[at] = append(d.edges[at], nfaEdge{runeSet{{r, r}}, len(d.edges) - 1})
			if at = len(d.edges) - 1; at > 20*maxDFAStates {
				return nil, errors.New(
					"too many or too long property names to keep apart from further properties")
			}
		}
		d.accept[at] = true
	}
	return d, nil
}

// otherThan accepts every text but the given ones.
func otherThan(texts []string) (*dfa, error) {
	d, err := exactly(texts)
	if err != nil {
		return nil, err
	}
	any := len(d.edges)
	for s := range d.edges {
		taken := make([]runeRange, 0, len(d.edges[s]))
		for _, e := range d.edges[s] {
			taken = append(taken, e.set...)
		}
		if rest := newRuneSet(taken...).complement(); len(rest) > 0 {
			d.edges[s] = append(d.edges[s], nfaEdge{rest, any})
		}
		d.accept[s] = !d.accept[s]
	}
	d.edges = append(d.edges, []nfaEdge{{anyRune, any}})
	d.accept = append(d.accept, true)
	return d, nil
}

// lengths are the shortest and longest accepted text; longest -1 is unbounded.
func (d *dfa) lengths() (shortest, longest int) {
	dist := make([]int, len(d.edges))
	for i := range dist {
		dist[i] = -1
	}
	dist[0], shortest = 0, -1
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if d.accept[s] {
			shortest = dist[s]
			break
		}
		for _, e := range d.edges[s] {
			if dist[e.to] < 0 {
				dist[e.to] = dist[s] + 1
				queue = append(queue, e.to)
			}
		}
	}
	// Longest path by peeling states without incoming edges; a remainder is a cycle.
	in := make([]int, len(d.edges))
	for _, edges := range d.edges {
		for _, e := range edges {
			in[e.to]++
		}
	}
	far := make([]int, len(d.edges))
	peeled := 0
	work := []int{}
	for s := range d.edges {
		if in[s] == 0 {
			work = append(work, s)
		}
	}
	for len(work) > 0 {
		s := work[len(work)-1]
		work = work[:len(work)-1]
		peeled++
		longest = max(longest, far[s])
		for _, e := range d.edges[s] {
			far[e.to] = max(far[e.to], far[s]+1)
			if in[e.to]--; in[e.to] == 0 {
				work = append(work, e.to)
			}
		}
	}
	if peeled < len(d.edges) {
		longest = -1
	}
	return shortest, longest
}
