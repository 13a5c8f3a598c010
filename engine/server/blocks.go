package server

import (
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// blockKind tells apart what an answer is made of.
type blockKind int

const (
	thoughtBlock blockKind = iota
	textBlock
	callBlock
)

// block is a stretch of an answer: thoughts, text, or a call.
type block struct {
	kind     blockKind
	index    int
	callID   string
	name     string // of the tool
	text     string // so far; of a call its arguments
	logprobs []engine.TokenLogprob
	cut      bool // a call whose arguments are not whole
}

// blocks makes blocks of events. What watches, if anything, is told as they begin, grow and end.
type blocks struct {
	list   []*block
	open   bool // the last one may still grow
	spoken spoken

	begun func(b *block) error
	grown func(b *block, text string, logprobs []engine.TokenLogprob) error
	ended func(b *block) error
}

// take takes an event in.
func (bs *blocks) take(e engine.Event) error {
	if e.Reasoning != "" {
		if err := bs.write(thoughtBlock, e.Reasoning, nil); err != nil {
			return err
		}
	}
	if text := bs.spoken.push(e.Text); text != "" && (bs.open && bs.last().kind == textBlock ||
		strings.TrimSpace(text) != "") {
		if err := bs.write(textBlock, text, e.Logprobs); err != nil {
			return err
		}
	}
	for _, d := range e.Calls {
		if d.Name != "" {
			if err := bs.begin(&block{kind: callBlock, callID: d.ID, name: d.Name,
				cut: true}); err != nil {
				return err
			}
		}
		if d.Arguments != "" {
			if err := bs.grow(d.Arguments, nil); err != nil {
				return err
			}
		}
		if d.Done {
			bs.last().cut = false
			if err := bs.end(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (bs *blocks) last() *block { return bs.list[len(bs.list)-1] }

// write adds text to the open block, or to a new one where that is of another kind.
func (bs *blocks) write(kind blockKind, text string, logprobs []engine.TokenLogprob) error {
	if !bs.open || bs.last().kind != kind {
		if err := bs.begin(&block{kind: kind}); err != nil {
			return err
		}
	}
	return bs.grow(text, logprobs)
}

func (bs *blocks) begin(b *block) error {
	if err := bs.end(); err != nil {
		return err
	}
	b.index = len(bs.list)
	bs.list, bs.open = append(bs.list, b), true
	if bs.begun == nil {
		return nil
	}
	return bs.begun(b)
}

func (bs *blocks) grow(text string, logprobs []engine.TokenLogprob) error {
	b := bs.last()
	b.text += text
	b.logprobs = append(b.logprobs, logprobs...)
	if bs.grown == nil {
		return nil
	}
	return bs.grown(b, text, logprobs)
}

// end ends the open block, if there is one.
func (bs *blocks) end() error {
	if !bs.open {
		return nil
	}
	bs.open = false
	if bs.ended == nil {
		return nil
	}
	return bs.ended(bs.last())
}
