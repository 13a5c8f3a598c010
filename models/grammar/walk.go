package grammar

import (
	"slices"
	"unicode/utf8"
)

// Bounds of a [Walk]: of the text of a grammar, of its nodes once repetitions are written out, of
// the ways in which a text can be read at a time, and of the nodes that are passed from one code
// point to the next.
const (
	maxWalkBytes  = 1 << 20
	maxWalkNodes  = 1 << 18
	maxWalkWays   = 512
	maxWalkPassed = 4096
)

// Walk follows a text through a grammar, and tells what must come next. The zero Walk knows
// nothing, and foresees nothing.
type Walk struct {
	nodes []walkNode
	ways  []way  // of reading the text up to here, at nodes that take a code point or end the text
	text  []byte // the text so far, at most what is looked back on, and what is foreseen
	rest  []byte // of a code point that has not come to its end

	ahead  []foreseen // code points that are foreseen; their text is the end of text
	stuck  bool       // nothing can be foreseen behind them
	passed []way      // scratch memory of settle
}

// foreseen is a code point that probably comes, and the ways of reading the text up to its end.
type foreseen struct {
	r    rune
	ways []way
}

type walkKind uint8

const (
	walkClass  walkKind = iota // takes a code point, goes on at next
	walkSplit                  // goes on at each of alts
	walkCall                   // goes on at the first node of a rule, and at next behind it
	walkReturn                 // the end of a rule
)

// walkNode is a node of a grammar that is written as a graph.
type walkNode struct {
	kind    walkKind
	ranges  []runeRange
	negated bool
	next    int
	alts    []int // of a walkCall the rule's first node
}

// frame is where the text goes on once a rule ends, and what is around it. Frames are not changed.
type frame struct {
	next int
	up   *frame
}

type way struct {
	at int // a walkClass, or -1 at the end of the text
	up *frame
}

// NewWalk begins a text of a grammar that [Check] passes. It returns the zero Walk for a grammar
// that is large, or names tokens of a vocabulary.
func NewWalk(gbnf string) *Walk {
	if len(gbnf) > maxWalkBytes {
		return &Walk{}
	}
	g, err := parseGBNF(gbnf)
	if err != nil || g.index["root"] == nil {
		return &Walk{}
	}
	g.link()
	b := walkBuilder{first: make([]int, len(g.rules))}
	for i := range b.first {
		b.first[i] = b.add(walkNode{kind: walkSplit})
	}
	end := b.add(walkNode{kind: walkReturn})
	for i, r := range g.rules {
		b.nodes[b.first[i]].alts = b.choice(r.alts, end)
	}
	if b.failed {
		return &Walk{}
	}
	w := &Walk{nodes: b.nodes}
	w.ways = w.settle([]way{{at: b.first[slices.Index(g.rules, g.index["root"])]}})
	return w
}

// walkBuilder writes a grammar as nodes, from the end of each sequence to its beginning.
type walkBuilder struct {
	nodes  []walkNode
	first  []int // nodes of rules
	failed bool
}

func (b *walkBuilder) add(n walkNode) int {
	if len(b.nodes) >= maxWalkNodes {
		b.failed = true
		return 0
	}
	b.nodes = append(b.nodes, n)
	return len(b.nodes) - 1
}

// choice returns the first nodes of alternatives that go on at next.
func (b *walkBuilder) choice(alts []sequence, next int) (first []int) {
	for _, s := range alts {
		at := next
		for i := len(s) - 1; i >= 0 && !b.failed; i-- {
			at = b.repeated(s[i], at)
		}
		first = append(first, at)
	}
	return first
}

func (b *walkBuilder) repeated(it *item, next int) int {
	at := next
	if it.max < 0 {
		at = b.add(walkNode{kind: walkSplit})
		body := b.once(it, at)
		if !b.failed {
			b.nodes[at].alts = []int{body, next}
		}
	}
	for i := it.min; i < it.max && !b.failed; i++ {
		at = b.add(walkNode{kind: walkSplit, alts: []int{b.once(it, at), next}})
	}
	for i := 0; i < it.min && !b.failed; i++ {
		at = b.once(it, at)
	}
	return at
}

func (b *walkBuilder) once(it *item, next int) int {
	switch it.kind {
	case itemLiteral:
		runes := []rune(it.text)
		for _, r := range slices.Backward(runes) {
			next = b.add(walkNode{kind: walkClass, ranges: []runeRange{{r, r}}, next: next})
		}
		return next
	case itemClass:
		return b.add(walkNode{kind: walkClass, ranges: it.ranges, negated: it.negated, next: next})
	case itemAny:
		return b.add(walkNode{kind: walkClass, negated: true, next: next})
	case itemGroup:
		return b.add(walkNode{kind: walkSplit, alts: b.choice(it.alts, next)})
	case itemRef:
		if it.rule >= 0 {
			return b.add(walkNode{kind: walkCall, alts: []int{b.first[it.rule]}, next: next})
		}
	}
	b.failed = true
	return 0
}

// settle follows ways until each is at a node that takes a code point, or at the end. It returns
// none if there are too many.
func (w *Walk) settle(from []way) (settled []way) {
	passed, many := w.passed[:0], map[way]bool(nil)
	var frames []*frame // the same rule around the same frame is one way
	work := from
	for len(work) > 0 {
		x := work[len(work)-1]
		work = work[:len(work)-1]
		if many[x] || many == nil && slices.Contains(passed, x) {
			continue
		}
		switch passed = append(passed, x); {
		case len(passed) > maxWalkPassed || len(settled) > maxWalkWays:
			return nil
		case many != nil:
			many[x] = true
		case len(passed) > 32:
			many = map[way]bool{}
			for _, p := range passed {
				many[p] = true
			}
		}
		n := &w.nodes[x.at]
		switch n.kind {
		case walkClass:
			settled = append(settled, x)
		case walkSplit:
			for _, at := range n.alts {
				work = append(work, way{at, x.up})
			}
		case walkCall:
			f := frame{n.next, x.up}
			i := slices.IndexFunc(frames, func(g *frame) bool { return *g == f })
			if i < 0 {
				i, frames = len(frames), append(frames, &f)
			}
			work = append(work, way{n.alts[0], frames[i]})
		case walkReturn:
			if x.up == nil {
				settled = append(settled, way{at: -1})
			} else {
				work = append(work, way{x.up.next, x.up.up})
			}
		}
	}
	w.passed = passed
	return settled
}

func (n *walkNode) takes(r rune) bool {
	for _, of := range n.ranges {
		if of.lo <= r && r <= of.hi {
			return !n.negated
		}
	}
	return n.negated
}

// step returns where ways are after a code point.
func (w *Walk) step(ways []way, r rune) []way {
	var next []way
	for _, x := range ways {
		if x.at >= 0 && w.nodes[x.at].takes(r) {
			next = append(next, way{w.nodes[x.at].next, x.up})
		}
	}
	return w.settle(next)
}

// only returns the code point that all ways take, if there is no other. White space, if it is to be
// left aside, does not count.
func (w *Walk) only(ways []way, ink bool) (r rune, ok bool) {
	for _, x := range ways {
		if x.at < 0 {
			return 0, false
		}
		n := &w.nodes[x.at]
		if ink && n.blank() {
			continue
		}
		if n.negated || len(n.ranges) != 1 || n.ranges[0].lo != n.ranges[0].hi ||
			ok && n.ranges[0].lo != r {
			return 0, false
		}
		r, ok = n.ranges[0].lo, true
	}
	return r, ok
}

// blank reports whether a node takes white space alone.
func (n *walkNode) blank() bool {
	for _, r := range n.ranges {
		if r.hi > ' ' || r.hi-r.lo > ' ' {
			return false
		}
		for c := r.lo; c <= r.hi; c++ {
			if !isSpace(byte(c)) {
				return false
			}
		}
	}
	return !n.negated && len(n.ranges) > 0
}

// lookBack is how many bytes of a text are remembered, to see how it is laid out.
const lookBack = 1 << 12

// Push adds to the text; it may end within a code point. Once the text has left the grammar,
// nothing is known of what follows.
func (w *Walk) Push(text string) {
	if len(w.ways) == 0 {
		return
	}
	w.rest = append(w.rest, text...)
	for len(w.rest) > 0 && utf8.FullRune(w.rest) {
		r, n := utf8.DecodeRune(w.rest)
		w.rest = w.rest[n:]
		if len(w.ahead) > 0 && w.ahead[0].r == r {
			w.ways, w.ahead = w.ahead[0].ways, w.ahead[1:]
			continue
		}
		w.forgetAhead()
		if w.ways = w.step(w.ways, r); len(w.ways) == 0 {
			*w = Walk{}
			return
		}
		w.text = utf8.AppendRune(w.text, r)
	}
	if len(w.text) > 2*lookBack {
		w.text = append([]byte(nil), w.text[len(w.text)-lookBack:]...)
	}
}

// forgetAhead takes back what was foreseen.
func (w *Walk) forgetAhead() {
	w.text, w.ahead, w.stuck = w.text[:len(w.text)-w.aheadBytes()], nil, false
}

func (w *Walk) aheadBytes() (n int) {
	for _, f := range w.ahead {
		n += utf8.RuneLen(f.r)
	}
	return n
}

// Ahead returns, up to a number of bytes or a little more, the text that probably comes next: what
// the grammar forces, and where it leaves white space open behind a mark of JSON, the white space
// that is usual there. It ends where something else is to be chosen.
func (w *Walk) Ahead(most int) string {
	if len(w.rest) > 0 || len(w.ways) == 0 {
		return ""
	}
	n := w.aheadBytes()
	for n < most && !w.stuck {
		before := len(w.text)
		w.extend()
		n += len(w.text) - before
	}
	return string(w.text[len(w.text)-n:])
}

// extend foresees one code point more, and white space before it, or is stuck.
func (w *Walk) extend() {
	ways := w.ways
	if len(w.ahead) > 0 {
		ways = w.ahead[len(w.ahead)-1].ways
	}
	if r, ok := w.only(ways, false); ok {
		w.foresee(r, w.step(ways, r))
		return
	}
	w.stuck = true
	space, ok := w.space()
	if !ok {
		return
	}
	// Only where a single code point other than white space may follow.
	after := make([]foreseen, 0, len(space)+1)
	for _, r := range space {
		ways = w.step(ways, r)
		after = append(after, foreseen{r, ways})
	}
	r, ok := w.only(ways, true)
	if !ok {
		return
	}
	for _, f := range append(after, foreseen{r, w.step(ways, r)}) {
		w.foresee(f.r, f.ways)
	}
	w.stuck = false
}

func (w *Walk) foresee(r rune, ways []way) {
	w.text, w.ahead = utf8.AppendRune(w.text, r), append(w.ahead, foreseen{r, ways})
	w.stuck = len(ways) == 0
}

// space returns the white space that probably follows the mark at the end of the text: what stood
// behind the last mark that is the same, else what models mostly write; false if there is no mark.
func (w *Walk) space() (space string, ok bool) {
	text := w.text
	if len(text) == 0 {
		return "", false
	}
	mark := text[len(text)-1]
	for i, c := range slices.Backward(text[:len(text)-1]) {
		if c == mark && isMark(mark) {
			return string(spaceAt(text[i+1:])), true
		}
	}
	switch mark {
	case ':':
		return " ", true
	case ',': // as between the brace and the first member, if that is a new line
		if i := slices.Index(text, '{'); i >= 0 {
			if space := spaceAt(text[i+1:]); len(space) > 0 && space[0] == '\n' {
				return string(space), true
			}
		}
		return " ", true
	}
	return "", isMark(mark)
}

// spaceAt returns the white space at the beginning of a text.
func spaceAt(text []byte) []byte {
	n := 0
	for n < len(text) && isSpace(text[n]) {
		n++
	}
	return text[:n]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isMark reports whether JSON has white space behind a byte, outside of strings.
func isMark(c byte) bool {
	switch c {
	case ':', ',', '{', '}', '[', ']', '"':
		return true
	}
	return false
}
