package grammar

import (
	"errors"
	"iter"
	"slices"
	"strings"
)

// compileLookarounds makes the automaton of a pattern whose look-arounds are
// conditions on the whole text: ^(?=A)(?!B)C is what matches ^C and ^A and does
// not match ^B, and C(?<!D)$ what matches C$ and does not match D$.
func compileLookarounds(src string, read reading) (*dfa, error) {
	if topAlternation(src) {
		return nil, errLookaround
	}
	type condition struct {
		pattern string
		not     bool
	}
	var conditions []condition
	rest := src
	if strings.HasPrefix(rest, "^") {
		rest = rest[1:]
		for strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!") {
			end := closing(rest)
			if end < 0 || end+1 < len(rest) && strings.IndexByte("*+?{", rest[end+1]) >= 0 {
				return nil, errLookaround
			}
			conditions = append(conditions, condition{"^(?:" + rest[3:end] + ")", rest[2] == '!'})
			rest = rest[end+1:]
		}
		rest = "^" + rest
	}
	if at := strings.LastIndex(rest, "(?<"); at >= 0 && strings.HasSuffix(rest, ")$") &&
		at+4 < len(rest) &&
		(rest[at+3] == '=' || rest[at+3] == '!') && closing(rest[at:]) == len(rest)-at-2 {
		conditions = append(conditions, condition{"(?:" + rest[at+4:len(rest)-2] + ")$",
			rest[at+3] == '!'})
		rest = rest[:at] + "$"
	}
	if len(conditions) == 0 {
		return nil, errLookaround
	}
	d, err := compilePattern(rest, read)
	for _, c := range conditions {
		if err != nil {
			return nil, err
		}
		as := read
		if c.not && read != exact { // what is taken away is read the other way
			as = wide - read
		}
		var e *dfa
		if e, err = compilePattern(c.pattern, as); err == nil {
			d, err = d.combine(e, c.not)
		}
	}
	return d, err
}

// closing returns the place where the group that src begins with ends, -1 if it does not end.
func closing(src string) int {
	for i, depth := range syntax(src) {
		if src[i] == ')' && depth == 0 {
			return i
		}
	}
	return -1
}

// topAlternation reports whether a | stands in src outside all groups.
func topAlternation(src string) bool {
	for i, depth := range syntax(src) {
		if src[i] == '|' && depth == 0 {
			return true
		}
	}
	return false
}

// syntax yields the places in src that are neither escaped nor inside a class, and how many groups
// are open behind each.
func syntax(src string) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		depth, class := 0, false
		for i := 0; i < len(src); i++ {
			switch c := src[i]; {
			case c == '\\':
				i++
				continue
			case class:
				class = c != ']'
				continue
			case c == '[':
				class = true
			case c == '(':
				depth++
			case c == ')':
				depth--
			}
			if !yield(i, depth) {
				return
			}
		}
	}
}

// maxMatchWork bounds the steps of matching a pattern against a text; they are
// the product of their sizes at most.
const maxMatchWork = 1 << 31

var errMatchWork = errors.New("the text is too long for its pattern")

// search reports whether the pattern of n matches somewhere in text, in time of
// the product of their sizes: every look-around is worked out for all places of
// the text at once, the innermost first.
func (n *nfa) search(text string) (bool, error) {
	runes := []rune(text)
	if (len(runes)+1)*len(n.states)*(len(n.lookarounds)+1) > maxMatchWork {
		return false, errMatchWork
	}
	m := &search{nfa: n, text: runes}
	for _, l := range n.lookarounds {
		var holds []bool
		if l.behind {
			holds = m.forward(l.in, l.out, true)
		} else {
			holds = m.backward(l.in, l.out)
		}
		if l.negative {
			for i := range holds {
				holds[i] = !holds[i]
			}
		}
		m.holds = append(m.holds, holds)
	}
	ends := m.forward(n.start, n.accept, false)
	return ends[len(runes)], nil
}

type search struct {
	*nfa
	text  []rune
	holds [][]bool // of each look-around, at each place
}

// ways are the empty edges of a state that are open at a place.
func (m *search) ways(state, at int) []int {
	s := &m.states[state]
	if s.when == nil {
		return s.empty
	}
	out := slices.Clone(s.empty)
	if at == 0 {
		out = append(out, s.when.begin...)
	}
	if at == len(m.text) {
		out = append(out, s.when.end...)
	}
	for _, l := range s.when.guarded {
		if m.holds[l.lookaround][at] {
			out = append(out, l.to)
		}
	}
	return out
}

// forward reports for each place whether out is reached there by a match that
// began at the start of the text, or at any place if anywhere is set.
func (m *search) forward(in, out int, anywhere bool) []bool {
	reached := make([]bool, len(m.text)+1)
	seen := make([]int, len(m.states)) // place + 1 of the last visit
	var now, next []int
	for at := 0; ; at++ {
		if at == 0 || anywhere {
			now = append(now, in)
		}
		var here []int
		for len(now) > 0 {
			s := now[len(now)-1]
			now = now[:len(now)-1]
			if seen[s] == at+1 {
				continue
			}
			seen[s] = at + 1
			here = append(here, s)
			now = append(now, m.ways(s, at)...)
		}
		reached[at] = seen[out] == at+1
		if at == len(m.text) {
			return reached
		}
		next = next[:0]
		for _, s := range here {
			for _, e := range m.states[s].edges {
				if e.set.contains(m.text[at]) {
					next = append(next, e.to)
				}
			}
		}
		now, next = next, now
	}
}

// backward reports for each place whether a match that begins at in there reaches out.
func (m *search) backward(in, out int) []bool {
	// The states of the part, and who leads to whom without a character.
	var part []int
	known := make([]bool, len(m.states))
	work := []int{in}
	for len(work) > 0 {
		s := work[len(work)-1]
		work = work[:len(work)-1]
		if known[s] {
			continue
		}
		known[s] = true
		part = append(part, s)
		n := &m.states[s]
		work = append(work, n.empty...)
		if n.when != nil {
			work = append(append(work, n.when.begin...), n.when.end...)
			for _, l := range n.when.guarded {
				work = append(work, l.to)
			}
		}
		for _, e := range n.edges {
			work = append(work, e.to)
		}
	}
	reached := make([]bool, len(m.text)+1)
	after := make([]bool, len(m.states))
	from := make(map[int][]int, len(part))
	for at := len(m.text); at >= 0; at-- {
		now := make([]bool, len(m.states))
		clear(from)
		for _, s := range part {
			for _, to := range m.ways(s, at) {
				from[to] = append(from[to], s)
			}
			if s == out {
				work = append(work, s)
				continue
			}
			if at < len(m.text) {
				for _, e := range m.states[s].edges {
					if after[e.to] && e.set.contains(m.text[at]) {
						work = append(work, s)
						break
					}
				}
			}
		}
		for len(work) > 0 {
			s := work[len(work)-1]
			work = work[:len(work)-1]
			if !now[s] {
				now[s] = true
				work = append(work, from[s]...)
			}
		}
		reached[at] = now[in]
		after = now
	}
	return reached
}
