package sched

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
)

var (
	// ErrClosed is what tasks end with when the scheduler is closed.
	ErrClosed = errors.New("sched: closed")
	// ErrQueueFull is returned by Submit when Config.Queue tasks are waiting.
	ErrQueueFull = errors.New("sched: too many requests are waiting")
	// ErrShifted is returned by Snapshot for a task that went on without its oldest items: what is
	// left cannot be continued from.
	ErrShifted = errors.New(
		"sched: the conversation outgrew the context, and its oldest part was dropped")
	// ErrGone is returned by Snapshot for a task whose cells were given to others meanwhile.
	ErrGone = errors.New("sched: other requests have taken the cells already")
)

// Task is a request to the scheduler. The caller sets the exported fields before Submit, and reads
// them again only when Done is closed: until then they belong to the scheduler, which lets Prompt
// grow with the answer and, in a Shift, replaces it and drops Pictures.
type Task struct {
	// Prompt is what the model reads. Its last item is a token.
	Prompt *kv.Prompt
	// Pictures are the pictures among the prompt's items, in order.
	Pictures []*media.Picture
	// Answer draws the tokens that follow.
	Answer Answer
	// MaxTokens is the most tokens of the answer; 0 means as many as there is room for.
	MaxTokens int
	// Cells is the most items of prompt and answer together; 0 means Config.Cells, which also
	// bounds it.
	Cells int
	// Fresh computes the prompt without what stands of it in the cache, and leaves nothing to
	// others while it runs. Nothing is guessed, and while it is the only task, the cache is emptied
	// before and portions do not depend on time, so that its text can be had again.
	Fresh bool
	// Shift lets an answer go on when the context is full, without its oldest items: half of what
	// follows the first Keep is dropped, and what comes after that moves down.
	Shift bool
	// Keep is how many items of the beginning a Shift leaves alone; 0 means the first quarter of
	// the context.
	Keep int
	// NoSpeculation keeps the scheduler from guessing tokens ahead.
	NoSpeculation bool
	// MostGuesses is the most tokens that are guessed at a time; 0 leaves it to the scheduler.
	MostGuesses int
	// Uniform asks that the tokens of the answer are computed to the same numbers alone and beside
	// guesses, of which there are fewer than Config.FewRows then.
	Uniform bool
	// Threads is the most threads that its tokens are computed with, unless a task in the same
	// decode takes more; 0 for no limit.
	Threads int
	// Client is whose request this is. Tasks of different clients are admitted in turn; empty is a
	// client like any other.
	Client string
	// Priority goes before the order of clients: higher first.
	Priority int
	// Trace, if not nil, is told what becomes of the task, on the scheduler's goroutine: it must
	// not wait.
	Trace func(Moment)

	ctx     context.Context
	state   state
	arrived time.Time
	rank    time.Time // of its prompt among others: arrival plus estimated work
	seq     *kv.Sequence
	tickets []*media.Ticket // of Pictures; nil where none is held
	saved   *savedCells     // of a task that was preempted
	done    chan struct{}
	err     error
	report  Report

	answered   int       // tokens drawn
	last       time.Time // when the last token was drawn
	towerSince time.Time // since when it waits for a picture; zero if it does not
	guess      guesser
	forced     guesser // of what Answer.Ahead returns
	sketch     sketcher
	follows    *Task // an earlier task that reads what this one needs next
	alone      bool  // the reader cannot help it
	// cells were shifted since the last decode, which is what carries that out: a copy of them
	// would be of no use
	moved bool
}

// Answer draws the tokens of a task. Its methods are called on the compute thread or the
// scheduler's goroutine, one at a time.
type Answer interface {
	// Next draws the token that follows output i of the last decode. It returns false when the
	// answer ends with that token.
	Next(output int) (t llama.Token, more bool, err error)
	// Full ends an answer for which there are no more cells, or that has MaxTokens tokens.
	Full()
	// Ahead returns, up to a number, the tokens that must come next or nearly must, as a grammar
	// leaves no other text; none where it is free. They are guesses as others are: those that the
	// answer does not draw are taken back.
	Ahead(most int) []llama.Token
}

// Report says what a task took. It is complete when Wait returns.
type Report struct {
	// items of the prompt that stood already, those that another task computed meanwhile included
	Cached int
	Queue  time.Duration // from Submit to admission
	// the tower's work on its pictures, and waiting for that while nothing else could be computed
	Encode    time.Duration
	Prefill   time.Duration // computing the prompt
	First     time.Time     // when the first token was drawn; zero if none was
	Gap       time.Duration // the longest time between two tokens
	Guessed   int           // tokens that were computed ahead
	Drafted   int           // of them, those that a smaller model guessed
	Right     int           // of Guessed, those that came to be
	Preempted int           // times that others needed the cells
	Shifted   int           // items that were dropped from the front
	Restored  int           // of Cached, items that came from disk
	LateShare int           // of Cached, items that another task computed meanwhile
}

// state of a task.
type state int

const (
	waiting  state = iota // in the queue, for the first time or preempted
	admitted              // it has left the queue
	loading               // its beginning is being read from disk
	running               // it has a sequence; its prompt is computed, and tokens are drawn
	ended
)

// ways are the changes of state that there are.
var ways = map[[2]state]bool{
	{waiting, admitted}: true, {admitted, loading}: true, {admitted, running}: true,
	{loading, running}: true, {running, waiting}: true,
	{waiting, ended}: true, {admitted, ended}: true, {loading, ended}: true, {running, ended}: true,
}

// become changes the state of a task; nothing else does. A task has a sequence while it is running
// and at no other time.
func (t *Task) become(next state) {
	if !ways[[2]state{t.state, next}] || (t.seq != nil) != (next == running) {
		panic(fmt.Sprintf("sched: a task that is in state %d, with sequence %v, becomes %d",
			t.state, t.seq != nil, next))
	}
	t.state = next
}

// Admitted is what befalls a task that leaves the queue: it is computed from now on.
const Admitted = "admitted"

// Moment is something that befell a task.
type Moment struct {
	At time.Time
	// "queued", "admitted", "prefill", "rows", "read", "encode", "first token", "preempted",
	// "resumed", "shifted", "shared", "ended"
	What  string
	Items int // how many items it was about
	Took  time.Duration
}

func (t *Task) trace(what string, items int, took time.Duration) {
	if t.Trace != nil {
		t.Trace(Moment{time.Now(), what, items, took})
	}
}

// Wait returns when the task has ended, with what it ended with, and what it took.
func (t *Task) Wait() (Report, error) {
	<-t.done
	return t.report, t.err
}

// Done is closed when the task has ended.
func (t *Task) Done() <-chan struct{} { return t.done }

// left is the number of items of the prompt that are not computed yet.
func (t *Task) left() int { return len(t.Prompt.Items) - t.seq.Len() }

// picture returns the picture that item n belongs to, and its ticket's place; nil for a token.
func (t *Task) picture(n int) (*media.Picture, int) {
	for i, p := range t.Pictures {
		if p.From <= n && n < p.To() {
			return p, i
		}
	}
	return nil, 0
}

// place is where the model takes item n, a row of a picture, in each dimension of its positions.
func (t *Task) place(p *media.Picture, n int) [4]llama.Pos {
	at := t.Prompt.Pos[n]
	if p.Places == nil {
		return [4]llama.Pos{at, at, at, 0}
	}
	start, x := t.Prompt.Pos[p.From], p.Places[n-p.From]
	return [4]llama.Pos{start + llama.Pos(x[0]), start + llama.Pos(x[1]), start + llama.Pos(x[2]),
		llama.Pos(x[3])}
}
