package grammar

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// unit spells one character of a JSON string out of set.
func (g *rules) unit(set runeSet) string {
	g.key = g.key[:0]
	for _, x := range set {
		g.key = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(g.key,
			uint32(x.lo)), uint32(x.hi))
	}
	if u := g.units[string(g.key)]; u != "" {
		return u
	}
	key := string(g.key)
	u := g.spellUnit(set)
	g.units[key] = u
	return u
}

func (g *rules) spellUnit(set runeSet) string {
	if slices.Equal(set, anyRune) {
		return g.base("canonical")
	}
	var alts []string
	plain := set.intersect(plainRunes)
	if plain.single() {
		alts = append(alts, literal(string(plain[0].lo)))
	} else if plain != nil {
		alts = append(alts, class(plain))
	}
	for _, x := range set.intersect(plainRunes.complement()) {
		for r := x.lo; r <= x.hi; r++ {
			alts = append(alts, literal(escapeJSON(r)))
		}
	}
	if len(alts) == 1 && len(alts[0]) < 40 {
		return alts[0]
	}
	return g.share("class", strings.Join(alts, " | "))
}

var plainRunes = newRuneSet(runeRange{' ', '!'}, runeRange{'#', '['}, runeRange{']', 0xd7ff},
	runeRange{0xe000, 0x10ffff})

// key returns a text that equal automata share.
func (d *dfa) key() string {
	var flat []int
	for s, edges := range d.edges {
		accept := 0
		if d.accept[s] {
			accept = 1
		}
		flat = append(flat, accept, len(edges))
		for _, e := range edges {
			flat = append(flat, e.to, len(e.set))
			for _, r := range e.set {
				flat = append(flat, int(r.lo), int(r.hi))
			}
		}
	}
	return packInts(flat)
}

// automaton writes d as rules, one for each state that more than one edge
// reaches or that branches, and returns the item for its start. The text is
// what stands between the quotes.
func (g *rules) automaton(hint string, d *dfa) string {
	in := make([]int, len(d.edges))
	in[0]++
	for _, edges := range d.edges {
		for _, e := range edges {
			in[e.to]++
		}
	}
	names := make([]string, len(d.edges))
	var work []int
	ref := func(s int) string {
		if names[s] == "" {
			names[s] = g.reserve(hint)
			work = append(work, s)
		}
		return names[s]
	}
	// path spells an edge and, while nothing else leads there, what follows.
	path := func(e nfaEdge) string {
		var b strings.Builder
		last, times := "", 0
		flush := func() {
			switch {
			case times == 0:
				return
			case b.Len() > 0:
				b.WriteByte(' ')
			}
			b.WriteString(last)
			if times > 1 {
				fmt.Fprintf(&b, "{%d}", times)
			}
		}
		for {
			u := g.unit(e.set)
			if u != last || times == maxRepetition-1 || u[0] == '"' {
				flush()
				last, times = u, 0
			}
			times++
			next := d.edges[e.to]
			switch {
			case len(next) == 0:
				flush()
				return b.String()
			case len(next) > 1 || in[e.to] > 1 || d.accept[e.to]:
				flush()
				return b.String() + " " + ref(e.to)
			}
			e = next[0]
		}
	}
	// tail spells a run of states that all accept and have one way on, by the same characters: up
	// to so many of them.
	tail := func(s int) string {
		first := d.edges[s][0]
		n, at := 0, s
		for n < maxRepetition-1 && d.accept[at] && len(d.edges[at]) == 1 && (at == s ||
			in[at] == 1) &&
			slices.Equal(d.edges[at][0].set, first.set) && d.edges[at][0].to != at {
			n, at = n+1, d.edges[at][0].to
		}
		if n < 3 {
			return ""
		}
		u := g.unit(first.set)
		if d.accept[at] && len(d.edges[at]) == 0 {
			return fmt.Sprintf("%s{0,%d}", u, n)
		}
		return fmt.Sprintf("%s{0,%d} | %s{%d} %s", u, n-1, u, n, ref(at))
	}
	start := ref(0)
	for len(work) > 0 {
		s := work[len(work)-1]
		work = work[:len(work)-1]
		var alts []string
		if d.accept[s] && len(d.edges[s]) == 1 {
			if run := tail(s); run != "" {
				g.define(names[s], run)
				continue
			}
		}
		for _, e := range d.edges[s] {
			alts = append(alts, path(e))
		}
		if d.accept[s] {
			// Spelled out: after a bare | the next line would belong to this rule.
			alts = append(alts, `""`)
		}
		g.define(names[s], strings.Join(alts, " | "))
	}
	return start
}
