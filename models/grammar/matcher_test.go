package grammar

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// matcher decides membership in a parsed grammar by plain recursion over
// (rule, offset) with memory: slow, and unlike the sampler in every way.
type matcher struct {
	g    *gbnf
	text string
	memo map[memoKey]map[int]bool
	far  int // the end of the longest beginning of text that was matched
}

type memoKey struct {
	rule string
	pos  int
}

func matches(t testing.TB, grammar, text string) bool {
	t.Helper()
	g, err := parseGBNF(grammar)
	if err != nil {
		t.Fatalf("grammar does not parse: %v\n%s", err, grammar)
	}
	m := &matcher{g: g, text: text, memo: map[memoKey]map[int]bool{}}
	return m.rule("root", 0)[len(text)]
}

func (m *matcher) rule(name string, pos int) map[int]bool {
	k := memoKey{name, pos}
	if ends, ok := m.memo[k]; ok {
		return ends
	}
	ends := m.alts(m.g.index[name].alts, pos)
	m.memo[k] = ends
	return ends
}

func (m *matcher) alts(alts []sequence, pos int) map[int]bool {
	out := map[int]bool{}
	for _, s := range alts {
		at := map[int]bool{pos: true}
		for _, it := range s {
			at = m.repeated(it, at)
		}
		for e := range at {
			out[e] = true
		}
	}
	return out
}

func (m *matcher) repeated(it *item, at map[int]bool) map[int]bool {
	out := map[int]bool{}
	seen := map[int]bool{}
	for n := 0; len(at) > 0; n++ {
		if n >= it.min {
			for p := range at {
				out[p] = true
			}
		}
		if it.max >= 0 && n == it.max {
			break
		}
		next := map[int]bool{}
		for p := range at {
			for e := range m.once(it, p) {
				if n < it.min || !seen[e] {
					next[e] = true
					seen[e] = n >= it.min
				}
			}
		}
		at = next
	}
	return out
}

func (m *matcher) once(it *item, pos int) map[int]bool {
	switch it.kind {
	case itemRef:
		return m.rule(it.text, pos)
	case itemGroup:
		return m.alts(it.alts, pos)
	case itemLiteral:
		if strings.HasPrefix(m.text[pos:], it.text) {
			m.far = max(m.far, pos+len(it.text))
			return map[int]bool{pos + len(it.text): true}
		}
		return nil
	}
	r, n := utf8.DecodeRuneInString(m.text[pos:])
	if n > 0 && it.admits(r) {
		m.far = max(m.far, pos+n)
		return map[int]bool{pos + n: true}
	}
	return nil
}

func (it *item) admits(r rune) bool {
	if it.kind == itemAny {
		return true
	}
	for _, x := range it.ranges {
		if x.lo <= r && r <= x.hi {
			return !it.negated
		}
	}
	return it.negated
}

// sampler draws texts of a grammar; past a depth it takes the way that ends soonest.
type sampler struct {
	g      *gbnf
	height map[string]int
	intn   func(n int) int
	out    strings.Builder
}

func newSampler(t testing.TB, grammar string, intn func(int) int) *sampler {
	g, err := parseGBNF(grammar)
	if err != nil {
		t.Fatalf("grammar does not parse: %v\n%s", err, grammar)
	}
	s := &sampler{g: g, height: map[string]int{}, intn: intn}
	for changed := true; changed; {
		changed = false
		for _, r := range g.rules {
			h := s.heightOf(r.alts)
			if old, ok := s.height[r.name]; h < far && (!ok || h < old) {
				s.height[r.name], changed = h, true
			}
		}
	}
	return s
}

const far = 1 << 30

func (s *sampler) heightOf(alts []sequence) int {
	best := far
	for _, a := range alts {
		best = min(best, s.heightOfSequence(a))
	}
	return best
}

func (s *sampler) heightOfSequence(a sequence) int {
	h := 0
	for _, it := range a {
		switch {
		case it.min == 0:
		case it.kind == itemGroup:
			h = max(h, s.heightOf(it.alts))
		case it.kind == itemRef:
			if r, ok := s.height[it.text]; ok {
				h = max(h, r+1)
			} else {
				return far
			}
		}
	}
	return h
}

func (s *sampler) sample() string {
	s.out.Reset()
	s.alts(s.g.index["root"].alts, 0)
	return s.out.String()
}

func (s *sampler) alts(alts []sequence, depth int) {
	pick := s.intn(len(alts))
	tired := depth > 25 || s.out.Len() > 600
	if tired {
		for i, a := range alts {
			if s.heightOfSequence(a) < s.heightOfSequence(alts[pick]) {
				pick = i
			}
		}
	}
	for _, it := range alts[pick] {
		n := it.min
		if !tired {
			most := it.max
			if most < 0 || most > n+4 {
				most = n + 4
			}
			n += s.intn(most - n + 1)
		}
		for range n {
			s.item(it, depth)
		}
	}
}

func (s *sampler) item(it *item, depth int) {
	switch it.kind {
	case itemRef:
		s.alts(s.g.index[it.text].alts, depth+1)
	case itemGroup:
		s.alts(it.alts, depth)
	case itemLiteral:
		s.out.WriteString(it.text)
	case itemClass:
		x := it.ranges[s.intn(len(it.ranges))]
		span := int(x.hi-x.lo) + 1
		if span > 40 && s.intn(4) > 0 {
			span = 40
		}
		s.out.WriteRune(x.lo + rune(s.intn(span)))
	}
}
