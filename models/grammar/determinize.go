package grammar

import (
	"fmt"
	"slices"
)

// subsets makes the closures of the subset construction.
type subsets struct {
	*nfa
	seen []int // mark of the last visit to each state
	mark int
	work []int
}

// closure adds what empty edges reach; begin and end open the anchored ones. The outcome is sorted.
func (n *subsets) closure(set []int, begin, end bool) []int {
	n.mark++
	work := append(n.work[:0], set...)
	var out []int
	for len(work) > 0 {
		s := work[len(work)-1]
		work = work[:len(work)-1]
		if n.seen[s] == n.mark {
			continue
		}
		n.seen[s] = n.mark
		out = append(out, s)
		work = append(work, n.states[s].empty...)
		if when := n.states[s].when; when != nil && begin {
			work = append(work, when.begin...)
		}
		if when := n.states[s].when; when != nil && end {
			work = append(work, when.end...)
		}
	}
	n.work = work
	slices.Sort(out)
	return out
}

// useful reports whether a state of a closure does anything: leads on by a
// character, or accepts. The others only make equal sets look different.
func (n *subsets) useful(s int) bool {
	return s == n.accept || len(n.states[s].edges) > 0 || n.states[s].when != nil
}

// alphabet splits the characters into classes that no edge of n tells apart.
// of says which of them each edge has, by state and edge.
func (n *nfa) alphabet() (classes []runeSet, of [][][]int) {
	var cuts []rune
	for _, s := range n.states {
		for _, e := range s.edges {
			for _, r := range e.set {
				cuts = append(cuts, r.lo, r.hi+1)
			}
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	// Two stretches between cuts are one class if the same sets hold them.
	type member struct{ state, edge int }
	var holders [][]member
	var sets []runeSet
	ids := map[*runeRange]int{} // sets that are one slice are one set
	for i, s := range n.states {
		for j, e := range s.edges {
			if len(e.set) == 0 {
				continue
			}
			id, known := ids[&e.set[0]]
			if !known {
				for k, other := range sets {
					if known = slices.Equal(other, e.set); known {
						id = k
						break
					}
				}
			}
			if !known {
				id = len(sets)
				sets, holders = append(sets, e.set), append(holders, nil)
			}
			ids[&e.set[0]] = id
			holders[id] = append(holders[id], member{i, j})
		}
	}
	byHolders := map[string]int{}
	inSet := make([][]int, len(sets))
	for i := 0; i+1 < len(cuts); i++ {
		var in []int
		for id, set := range sets {
			if set.contains(cuts[i]) {
				in = append(in, id)
			}
		}
		if len(in) == 0 {
			continue
		}
		key := packInts(in)
		c, known := byHolders[key]
		if !known {
			c = len(classes)
			byHolders[key] = c
			classes = append(classes, nil)
			for _, id := range in {
				inSet[id] = append(inSet[id], c)
			}
		}
		classes[c] = append(classes[c], runeRange{cuts[i], cuts[i+1] - 1})
	}
	for i := range classes {
		classes[i] = newRuneSet(classes[i]...)
	}
	of = make([][][]int, len(n.states))
	for i, s := range n.states {
		of[i] = make([][]int, len(s.edges))
	}
	for id, list := range holders {
		for _, m := range list {
			of[m.state][m.edge] = inSet[id]
		}
	}
	return classes, of
}

// determinize is the subset construction.
func (n *nfa) determinize() (*dfa, error) {
	work := 0
	classes, of := n.alphabet()
	u := &subsets{nfa: n, seen: make([]int, len(n.states))}
	to := make([][]int, len(classes)) // of the state at hand, by class
	closed := map[string]string{}     // set of states to its closure
	step := func(key string) []keyEdge {
		var used []int
		for _, s := range unpackInts(key) {
			for j, e := range n.states[s].edges {
				for _, c := range of[s][j] {
					if len(to[c]) == 0 {
						used = append(used, c)
					}
					to[c] = append(to[c], e.to)
				}
				work += len(of[s][j]) + 1
			}
		}
		if work > maxDFAWork {
			return nil
		}
		slices.Sort(used)
		var out []keyEdge
		for _, c := range used {
			slices.Sort(to[c])
			raw := packInts(slices.Compact(to[c]))
			k, done := closed[raw]
			if !done {
				all := u.closure(unpackInts(raw), false, false)
				work += len(all)
				k = packInts(slices.DeleteFunc(all, func(s int) bool { return !u.useful(s) }))
				closed[raw] = k
			}
			out = append(out, keyEdge{classes[c], k})
			to[c] = to[c][:0]
		}
		return out
	}
	accept := func(key string) bool {
		return slices.Contains(u.closure(unpackInts(key), false, true), n.accept)
	}
	// The empty text begins and ends at once: ^$ must see both anchors.
	start := u.closure([]int{n.start}, true, false)
	emptyOK := slices.Contains(u.closure([]int{n.start}, true, true), n.accept)
	const startMark = "start"
	d, err := explore(startMark, func(key string) bool {
		if key == startMark {
			return emptyOK
		}
		return accept(key)
	}, func(key string) []keyEdge {
		if key == startMark {
			key = packInts(start)
		}
		return step(key)
	})
	if err == nil && work > maxDFAWork {
		err = errPatternSize
	}
	return d, err
}

// compilePattern makes an automaton of a pattern, with a look-around only where
// it is a condition on the whole text.
func compilePattern(src string, read reading) (*dfa, error) {
	n, err := parseRegex(src, read)
	if err != nil {
		return nil, err
	}
	if len(n.states) > maxNFAStates {
		return nil, errPatternSize
	}
	if len(n.lookarounds) > 0 {
		return compileLookarounds(src, read)
	}
	d, err := n.determinize()
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", src, err)
	}
	return d, nil
}
