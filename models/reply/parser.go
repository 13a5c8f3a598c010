package reply

import (
	"encoding/json"
	"regexp"
	"strings"
)

// Delta is what a piece of an answer means.
type Delta struct {
	Reasoning string
	Text      string
	Calls     []CallDelta
}

// CallDelta is a piece of a call.
type CallDelta struct {
	Index     int    // of the call in the answer, from 0
	Name      string // set on the first piece of a call
	Arguments string // what is added to its arguments
	Done      bool   // the arguments are whole
}

type mode int

const (
	atStart   mode = iota // nothing but blanks so far
	inThought             // between the marks of thoughts
	inText
	inHead    // from the mark of a call to its arguments
	inArgs    // in the arguments
	inTail    // behind the arguments
	afterCall // between calls
	inRest    // nothing is looked for any more
)

// Parser takes an answer apart as it comes. What could still become a mark is held back.
type Parser struct {
	style   Style
	tools   bool
	mode    mode
	pending string
	blank   bool   // blanks at the start of what comes next are left out
	mark    string // the text that led to inHead, in case it was no call
	index   int    // of the next call
	json    scanner
}

// NewParser returns a parser of an answer. tools says that calls are to be looked for, thinking
// that the prompt has opened the model's thoughts.
func (s Style) NewParser(tools, thinking bool) *Parser {
	p := &Parser{style: s, tools: tools}
	if thinking && s.Close != "" {
		p.mode, p.blank = inThought, true
	}
	return p
}

// Calls is the number of calls that have begun.
func (p *Parser) Calls() int { return p.index }

// Push adds text and returns what it brought.
func (p *Parser) Push(text string) Delta {
	var d Delta
	p.pending += text
	for p.pending != "" && p.step(&d) {
	}
	return d
}

// step does the next thing. It returns false when more text is needed.
func (p *Parser) step(d *Delta) bool {
	switch p.mode {
	case atStart:
		return p.start()
	case inThought:
		return p.thought(d)
	case inText:
		return p.text(d)
	case inHead:
		return p.head(d)
	case inArgs:
		return p.args(d)
	case inTail:
		return p.tail()
	case afterCall:
		return p.between()
	}
	d.Text += p.pending
	p.pending = ""
	return false
}

// Flush returns what was held back, once the answer is over. Of a call that is cut off nothing more
// comes.
func (p *Parser) Flush() (d Delta) {
	rest := p.pending
	p.pending = ""
	switch p.mode {
	case atStart, inText, inRest:
		d.Text = rest
	case inThought:
		d.Reasoning = rest
	case inHead:
		d.Text = p.mark + rest
	case afterCall:
		d.Text = strings.TrimSpace(rest)
	}
	return d
}

// Cut is Flush for an answer that was cut off: nothing becomes text of what had begun to be a call.
func (p *Parser) Cut() Delta {
	if p.mode == inHead || p.mode == afterCall {
		p.pending = ""
	}
	if p.tools && (p.mode == atStart || p.mode == inText) {
		t := strings.TrimLeft(p.pending, blanks)
		begins := strings.HasPrefix(p.style.Calls.open(), t) || p.style.Calls == Bare &&
			beginsBare(t) != no
		if len(t) > 1 && begins { // one character is as likely to be text
			p.pending = p.pending[:len(p.pending)-len(t)]
		}
	}
	if p.mode == inHead {
		p.mark = ""
	}
	return p.Flush()
}

const blanks = " \t\r\n"

// start finds out what an answer begins with.
func (p *Parser) start() bool {
	t := strings.TrimLeft(p.pending, blanks)
	if open := p.style.Open; open != "" {
		if strings.HasPrefix(t, open) {
			p.pending, p.mode, p.blank = t[len(open):], inThought, true
			return true
		}
		if strings.HasPrefix(open, t) {
			return false
		}
	}
	if open := p.style.Calls.open(); p.tools && open != "" {
		if strings.HasPrefix(t, open) {
			p.pending, p.mode, p.mark = t[len(open):], inHead,
				p.pending[:len(p.pending)-len(t)]+open
			return true
		}
		if strings.HasPrefix(open, t) {
			return false
		}
	}
	if p.tools && p.style.Calls == Bare {
		if m := beginsBare(t); m == yes {
			p.mode, p.mark = inHead, p.pending[:len(p.pending)-len(t)]
			p.pending = t
			return true
		} else if m == perhaps {
			return false
		}
	}
	p.mode = inText
	return true
}

type answer int

const (
	no answer = iota
	perhaps
	yes
)

// beginsBare reports whether a text begins like a call of Llama 3's: {"name": "
func beginsBare(t string) answer {
	for _, want := range []string{"{", `"name"`, ":", `"`} {
		t = strings.TrimLeft(t, blanks)
		if t == "" || len(t) < len(want) && strings.HasPrefix(want, t) {
			return perhaps
		}
		if !strings.HasPrefix(t, want) {
			return no
		}
		t = t[len(want):]
	}
	return yes
}

// until moves what stands before a mark out of pending. It returns true once the mark has come,
// which is taken out too.
func (p *Parser) until(mark string) (before string, found bool) {
	if before, after, ok := strings.Cut(p.pending, mark); ok {
		p.pending = after
		return before, true
	}
	keep := 0
	for n := min(len(mark)-1, len(p.pending)); n > 0; n-- {
		if strings.HasSuffix(p.pending, mark[:n]) {
			keep = n
			break
		}
	}
	cut := len(p.pending) - keep
	before, p.pending = p.pending[:cut], p.pending[cut:]
	return before, false
}

func (p *Parser) thought(d *Delta) bool {
	before, over := p.until(p.style.Close)
	if p.blank {
		before = strings.TrimLeft(before, blanks)
		p.blank = before == ""
	}
	if over {
		d.Reasoning += strings.TrimRight(before, blanks)
		p.mode, p.blank = inText, true
		return true
	}
	// Blanks wait for what follows, and are left out at the end of the thoughts.
	kept := strings.TrimRight(before, blanks)
	p.pending = before[len(kept):] + p.pending
	d.Reasoning += kept
	return false
}

func (p *Parser) text(d *Delta) bool {
	if p.blank {
		p.pending = strings.TrimLeft(p.pending, blanks)
		if p.pending == "" {
			return false
		}
		if p.tools && p.style.Calls == Bare {
			if m := beginsBare(p.pending); m == yes {
				p.mode, p.mark = inHead, ""
				return true
			} else if m == perhaps {
				return false
			}
		}
		p.blank = false
	}
	open := ""
	if p.tools {
		open = p.style.Calls.open()
	}
	if open == "" {
		d.Text += p.pending
		p.pending = ""
		return false
	}
	before, found := p.until(open)
	if found {
		p.mode, p.mark = inHead, open
	}
	d.Text += before
	return found
}

var (
	headJSON  = regexp.MustCompile(`^\s*\[?\s*\{\s*(?:"type"\s*:\s*"function"\s*,\s*)?"name"\s*:\s*("(?:[^"\\]|\\.)+")\s*,\s*"(?:arguments|parameters)"\s*:\s*\{`)
	headNamed = regexp.MustCompile(`^\s*([A-Za-z0-9_.:/-]+)\s*(?:\[ARGS\])?\s*\{`)
)

// mostHead bounds what stands between the mark of a call and its arguments.
const mostHead = 2048

func (p *Parser) head(d *Delta) bool {
	shape := headJSON
	if p.style.Calls == Named {
		shape = headNamed
	}
	m := shape.FindStringSubmatchIndex(p.pending)
	if m == nil && len(p.pending) < mostHead {
		return false
	}
	if m == nil || m[1] > mostHead {
		d.Text += p.mark // no call after all
		p.mode, p.tools = inRest, false
		return true
	}
	name := p.pending[m[2]:m[3]]
	if p.style.Calls != Named {
		if json.Unmarshal([]byte(name), &name) != nil {
			d.Text += p.mark
			p.mode, p.tools = inRest, false
			return true
		}
	}
	d.Calls = append(d.Calls, CallDelta{Index: p.index, Name: name})
	p.index++
	p.pending, p.mode, p.json = p.pending[m[1]-1:], inArgs, scanner{}
	return true
}

func (p *Parser) args(d *Delta) bool {
	n, over := p.json.end(p.pending)
	d.Calls = append(d.Calls, CallDelta{Index: p.index - 1, Arguments: p.pending[:n], Done: over})
	p.pending = p.pending[n:]
	if over {
		p.mode = inTail
		if p.style.Calls == Named {
			p.mode = afterCall
		}
	}
	return over
}

// tail passes what closes a call.
func (p *Parser) tail() bool {
	if p.style.Calls == Tagged {
		_, found := p.until(tagClose)
		if found {
			p.mode = afterCall
		}
		return found
	}
	for i, c := range p.pending {
		switch {
		case c == ',' && p.style.Calls == List:
			p.pending, p.mode, p.mark = p.pending[i+1:], inHead, ""
			return true
		case c == ']' && p.style.Calls == List:
			p.pending, p.mode = p.pending[i+1:], afterCall
			return true
		}
	}
	p.pending = ""
	return false
}

// between finds out whether another call follows.
func (p *Parser) between() bool {
	p.pending = strings.TrimLeft(p.pending, blanks)
	open := p.style.Calls.open()
	switch {
	case strings.HasPrefix(p.pending, open):
		p.pending, p.mode, p.mark = p.pending[len(open):], inHead, open
		return true
	case strings.HasPrefix(open, p.pending):
		return false
	}
	p.mode = inText
	return true
}

// scanner finds the end of a JSON object.
type scanner struct {
	depth           int
	quoted, escaped bool
}

// end returns how much of text belongs to the object, and whether it ends there.
func (s *scanner) end(text string) (n int, over bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted && c == '\\':
			s.escaped = true
		case c == '"':
			s.quoted = !s.quoted
		case s.quoted:
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth <= 0 {
				return i + 1, true
			}
		}
	}
	return len(text), false
}
