package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/prompt"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// maxAnswer is how many tokens an answer may have.
const maxAnswer = 64

// asker asks a model questions about pictures that are encoded already.
type asker struct {
	r        *reader
	dialogue *prompt.Dialogue
	vocab    *llama.Vocab
	opening  []llama.Token // what stands in the context before the picture
}

// newAsker makes a context that holds a question about a picture of so many image tokens. collector
// may be nil.
func newAsker(lm *llama.Model, projector string, imageTokens int, kv string, threads int,
	collector *llama.Collector) (*asker, error) {
	d, err := prompt.NewDialogue(lm, "", projector)
	if err != nil {
		return nil, err
	}
	if lm.NPosPerEmbd() > 1 {
		return nil, fmt.Errorf("%w: the model gives image tokens positions in several dimensions",
			engine.ErrRequest)
	}
	cells := imageTokens + 1024
	if train := lm.NCtxTrain(); train > 0 {
		cells = min(cells, train)
	}
	r, err := newReader(lm, cells, kv, threads, collector)
	if err != nil {
		return nil, err
	}
	return &asker{r: r, dialogue: d, vocab: lm.Vocab()}, nil
}

// prompt reads a question about a picture and returns a copy of the logits after it.
func (a *asker) prompt(ctx context.Context, question string,
	rows []float32) (logits []float32, err error) {
	message := chat.Message{Role: "user", Content: []chat.Content{chat.Image(),
		chat.Text(question)}}
	stretches, err := a.dialogue.Prompt(ctx, []chat.Message{message})
	if err != nil {
		return nil, err
	}
	if len(stretches) > 1 && stretches[0].Image < 0 {
		if err := a.open(ctx, stretches[0].Tokens); err != nil {
			return nil, err
		}
		stretches = stretches[1:]
	} else if err := a.r.clear(); err != nil {
		return nil, err
	}
	for i, s := range stretches {
		switch {
		case s.Image >= 0:
			err = a.r.feedRows(ctx, rows)
		case i < len(stretches)-1:
			err = a.r.feed(ctx, s.Tokens, 0, nil)
		default:
			err = a.r.feed(ctx, s.Tokens, len(s.Tokens)-1, func(_ int, l []float32) error {
				logits = append([]float32(nil), l...)
				return nil
			})
		}
		if err != nil {
			return nil, err
		}
	}
	return logits, nil
}

// open leaves nothing in the context but what a question opens with, which is the same for most. It
// is read again where every entry must be seen.
func (a *asker) open(ctx context.Context, opening []llama.Token) error {
	if !a.r.all && len(a.opening) > 0 && slices.Equal(a.opening, opening) &&
		a.r.back(llama.Pos(len(opening))) {
		return nil
	}
	a.opening = nil
	if err := a.r.clear(); err != nil {
		return err
	}
	if err := a.r.feed(ctx, opening, 0, nil); err != nil {
		return err
	}
	a.opening = slices.Clone(opening)
	return nil
}

// ask has the model foretell a right answer, token by token, and then give its own, always taking
// the most probable token. As far as both are the same, the own answer is known from foretelling:
// no token of it is computed twice.
func (a *asker) ask(ctx context.Context, q Question, rows []float32,
	see place) (said string, err error) {
	logits, err := a.prompt(ctx, q.Question, rows)
	if err != nil {
		return "", err
	}
	after, next := a.r.pos, mostProbable(logits)
	var tokens []llama.Token // of the own answer, while it is the right one
	parted := false
	err = a.foretell(ctx, q.Answers[0], logits, func(logits []float32, right llama.Token) error {
		if !parted {
			next = mostProbable(logits)
			if parted = next != right; !parted {
				tokens = append(tokens, right)
			}
		}
		return see(logits, right)
	})
	if err != nil {
		return "", err
	}
	if !parted && len(tokens) > 0 { // the last is taken again below
		tokens = tokens[:len(tokens)-1]
	}
	if tokens = tokens[:min(len(tokens), maxAnswer)]; len(tokens) == maxAnswer ||
		a.vocab.IsEOG(next) {
		return a.text(tokens)
	}
	if !a.r.back(after + llama.Pos(len(tokens))) {
		if logits, err = a.prompt(ctx, q.Question, rows); err != nil {
			return "", err
		}
		tokens, next = nil, mostProbable(logits)
	}
	return a.answer(ctx, tokens, next)
}

// mostProbable returns the token with the largest logit, the first of several.
func mostProbable(logits []float32) (best llama.Token) {
	for i, x := range logits {
		if x > logits[best] {
			best = llama.Token(i)
		}
	}
	return best
}

// foretell reads the answer, and tells what the model expected at each of its tokens and at its
// end.
func (a *asker) foretell(ctx context.Context, answer string, logits []float32, see place) error {
	tokens, err := a.vocab.Tokenize(answer, false, false)
	if err != nil {
		return err
	}
	if limit := a.r.lc.NCtx() - int(a.r.pos) - 1; len(tokens) > limit {
		tokens = tokens[:max(limit, 0)]
	}
	follow := tokens
	if eos := a.vocab.EOS(); eos != llama.NoToken {
		follow = append(append([]llama.Token(nil), tokens...), eos)
	}
	if len(follow) == 0 {
		return nil
	}
	if err := see(logits, follow[0]); err != nil {
		return err
	}
	return a.r.feed(ctx, tokens, 0, func(i int, logits []float32) error {
		if i+1 == len(follow) {
			return nil
		}
		return see(logits, follow[i+1])
	})
}

// answer generates from where the model stands: tokens are the answer so far, next is its next one.
func (a *asker) answer(ctx context.Context, tokens []llama.Token,
	next llama.Token) (string, error) {
	for len(tokens) < maxAnswer && int(a.r.pos) < a.r.lc.NCtx() && !a.vocab.IsEOG(next) {
		tokens = append(tokens, next)
		err := a.r.feed(ctx, []llama.Token{next}, 0, func(_ int, logits []float32) error {
			next = mostProbable(logits)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return a.text(tokens)
}

// text is what tokens of an answer say.
func (a *asker) text(tokens []llama.Token) (string, error) {
	text, err := a.vocab.Detokenize(tokens, false, false)
	return strings.TrimSpace(text), err
}
