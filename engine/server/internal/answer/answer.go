// Package answer accumulates what an engine generates for a request, and tells step by step what is
// new: an API's renderer makes of steps what it streams, and of whole answers a document.
package answer

import (
	"math"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Kind tells apart what an answer is made of.
type Kind int

// Kinds of blocks.
const (
	Thought Kind = iota
	Text
	Call
)

// Block is a stretch of an answer: thoughts, text, or a call of a tool.
type Block struct {
	Kind      Kind
	Index     int                   // among the blocks of the answer
	Text      string                // so far; of a call its arguments
	Logprobs  []engine.TokenLogprob // where KeepBlockLogprobs asks for them
	CallID    string
	CallIndex int    // among the calls of the answer
	Name      string // of the tool
	Cut       bool   // the arguments of the call are not whole
}

// Change tells what happens to a block.
type Change int

// Changes, in the order in which they come.
const (
	Began Change = iota
	Grew
	Ended
)

// Delta is a change of a block.
type Delta struct {
	Change   Change
	Block    Block  // as it is after the change
	Text     string // that is new, where the block grew
	Logprobs []engine.TokenLogprob
}

// Step is what one event adds to an answer.
type Step struct {
	Answer   *Answer // which has the step already
	First    bool
	Text     string // as it is shown
	Thought  string
	Calls    []engine.CallDelta
	Logprobs []engine.TokenLogprob
	Deltas   []Delta        // of blocks, in their order
	Done     *engine.Result // of the last step
}

// Answer accumulates the events of one answer.
type Answer struct {
	Index    int          // among the answers to a request
	Prompt   engine.Usage // what the first event knows of the prompt
	Thought  string
	Blocks   []*Block // without stretches of text that are blank
	Logprobs []engine.TokenLogprob
	Tokens   []engine.Token
	Result   *engine.Result // nil before the answer is over

	text  strings.Builder
	begun bool // an event has come
	spoke bool // text has been shown, or the first blank of it belongs to it
	open  bool // the last block may still grow

	streamed bool // steps have told of text, thoughts and log-probabilities: they are not kept
	ofBlocks bool // blocks keep log-probabilities
}

// Text returns the text so far, as it is shown.
func (a *Answer) Text() string { return a.text.String() }

// Continued makes the answer one that goes on a text: the blank that it begins with is part of it.
// Others lose that blank, with which models separate words.
func (a *Answer) Continued() { a.spoke = true }

// Add takes an event in.
func (a *Answer) Add(e engine.Event) Step {
	s := Step{Answer: a, First: !a.begun, Text: e.Text, Thought: e.Reasoning, Calls: e.Calls,
		Logprobs: e.Logprobs, Done: e.Done}
	a.begun = true
	if !a.spoke {
		s.Text = strings.TrimLeft(s.Text, " ")
		a.spoke = s.Text != ""
	}
	if e.Usage != nil {
		a.Prompt = *e.Usage
	}
	if !a.streamed {
		a.text.WriteString(s.Text)
		a.Thought += s.Thought
		a.Logprobs = append(a.Logprobs, e.Logprobs...)
	}
	a.Tokens = append(a.Tokens, e.Tokens...)
	a.Result = e.Done
	a.addBlocks(&s)
	return s
}

// addBlocks makes the changes of blocks that a step brings.
func (a *Answer) addBlocks(s *Step) {
	if s.Thought != "" {
		a.write(s, Thought, s.Thought, nil)
	}
	if s.Text != "" && (a.open && a.last().Kind == Text || strings.TrimSpace(s.Text) != "") {
		a.write(s, Text, s.Text, s.Logprobs)
	}
	for _, d := range s.Calls {
		if d.Name != "" {
			a.begin(s, &Block{Kind: Call, CallID: d.ID, CallIndex: d.Index, Name: d.Name,
				Cut: true})
		}
		if d.Arguments != "" {
			a.grow(s, d.Arguments, nil)
		}
		if d.Done {
			a.last().Cut = false
			a.end(s)
		}
	}
	if s.Done != nil {
		a.end(s)
	}
}

func (a *Answer) last() *Block { return a.Blocks[len(a.Blocks)-1] }

// write adds text to the open block, or to a new one where that is of another kind.
func (a *Answer) write(s *Step, kind Kind, text string, logprobs []engine.TokenLogprob) {
	if !a.open || a.last().Kind != kind {
		a.begin(s, &Block{Kind: kind})
	}
	a.grow(s, text, logprobs)
}

func (a *Answer) begin(s *Step, b *Block) {
	a.end(s)
	b.Index = len(a.Blocks)
	a.Blocks, a.open = append(a.Blocks, b), true
	s.Deltas = append(s.Deltas, Delta{Change: Began, Block: *b})
}

func (a *Answer) grow(s *Step, text string, logprobs []engine.TokenLogprob) {
	b := a.last()
	b.Text += text
	if a.ofBlocks {
		b.Logprobs = append(b.Logprobs, logprobs...)
	}
	s.Deltas = append(s.Deltas, Delta{Change: Grew, Block: *b, Text: text, Logprobs: logprobs})
}

// end ends the open block, if there is one.
func (a *Answer) end(s *Step) {
	if a.open {
		a.open = false
		s.Deltas = append(s.Deltas, Delta{Change: Ended, Block: *a.last()})
	}
}

// Set holds the answers to one request.
type Set struct {
	Answers []*Answer
	Ended   []*Answer // those that are over, in the order in which they ended
}

// NewSet returns n answers that have not begun.
func NewSet(n int) *Set {
	s := &Set{}
	for i := range n {
		s.Answers = append(s.Answers, &Answer{Index: i})
	}
	return s
}

// Streamed says that answers are sent step by step: their texts, thoughts and log-probabilities,
// which documents alone need, are not kept.
func (s *Set) Streamed() {
	for _, a := range s.Answers {
		a.streamed = true
	}
}

// KeepBlockLogprobs has blocks keep the log-probabilities of their tokens.
func (s *Set) KeepBlockLogprobs() {
	for _, a := range s.Answers {
		a.ofBlocks = true
	}
}

// Continued makes all answers go on a text, as [Answer.Continued] does.
func (s *Set) Continued() {
	for _, a := range s.Answers {
		a.Continued()
	}
}

// Add takes an event of an answer in.
func (s *Set) Add(index int, e engine.Event) Step {
	a := s.Answers[index]
	if e.Done != nil {
		s.Ended = append(s.Ended, a)
	}
	return a.Add(e)
}

// Piece is what a stream sends at a time.
type Piece struct {
	Event string // the name of a server-sent event; empty for none
	Data  any    // a JSON document, or a Verbatim
}

// Verbatim is data that is sent as it is.
type Verbatim string

// Renderer formats answers for one API. It keeps nothing of an answer but what a stream has not
// sent yet.
type Renderer interface {
	// Step returns what a stream sends of a step.
	Step(s Step) []Piece
	// End returns what ends a stream when all answers are over.
	End(s *Set) []Piece
	// Failed returns what ends a stream that breaks, where it has begun.
	Failed(f *failure.Failure) []Piece
	// Document returns the answers in one JSON document.
	Document(s *Set) any
}

// Checked reports whether a finished answer was checked against its schema and found valid; nil
// where the grammar has held all of it, or there is no result yet.
func Checked(r *engine.Result) *bool {
	if r == nil || r.SchemaChecked == nil {
		return nil
	}
	return &r.SchemaChecked.Valid
}

// Finite returns a log-probability as JSON can hold it.
func Finite(logprob float64) float64 { return max(logprob, -math.MaxFloat32) }
