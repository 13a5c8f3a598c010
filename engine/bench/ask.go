package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// maxAnswer is how many tokens an answer may have.
const maxAnswer = 64

// asker asks a model questions about pictures that are encoded already.
type asker struct {
	r        *reader
	dialogue *engine.Dialogue
	vocab    *llama.Vocab
}

// newAsker makes a context that holds a question about a picture of so many image tokens. collector
// may be nil.
func newAsker(lm *llama.Model, projector string, imageTokens int, kv string, threads int,
	collector *llama.Collector) (*asker, error) {
	d, err := engine.NewDialogue(lm, "", projector)
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
	if err := a.r.clear(); err != nil {
		return nil, err
	}
	message := chat.Message{Role: "user", Content: []chat.Content{chat.Image(),
		chat.Text(question)}}
	stretches, err := a.dialogue.Prompt(ctx, []chat.Message{message})
	if err != nil {
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

// ask has the model foretell a right answer, token by token, and then give its own, always taking
// the most probable token.
func (a *asker) ask(ctx context.Context, q Question, rows []float32,
	see place) (said string, err error) {
	logits, err := a.prompt(ctx, q.Question, rows)
	if err != nil {
		return "", err
	}
	after := a.r.pos
	if err := a.foretell(ctx, q.Answers[0], logits, see); err != nil {
		return "", err
	}
	if !a.r.back(after) {
		if logits, err = a.prompt(ctx, q.Question, rows); err != nil {
			return "", err
		}
	}
	return a.answer(ctx, logits)
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

// answer generates from where the model stands.
func (a *asker) answer(ctx context.Context, logits []float32) (string, error) {
	var tokens []llama.Token
	for len(tokens) < maxAnswer && int(a.r.pos) < a.r.lc.NCtx() {
		next := llama.Token(0)
		for i, x := range logits {
			if x > logits[next] {
				next = llama.Token(i)
			}
		}
		if a.vocab.IsEOG(next) {
			break
		}
		tokens = append(tokens, next)
		err := a.r.feed(ctx, []llama.Token{next}, 0, func(_ int, l []float32) error {
			logits = l
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	text, err := a.vocab.Detokenize(tokens, false, false)
	return strings.TrimSpace(text), err
}
