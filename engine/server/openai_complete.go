package server

import (
	"context"
	"fmt"
	"iter"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// openaiComplete answers POST /v1/completions: text goes to the model as it stands.
func (s *Server) openaiComplete(w http.ResponseWriter, r *http.Request,
	q *openai.CompletionRequest) error {
	m, err := s.models.find(q.Model)
	if err != nil {
		return err
	}
	tasks, n, err := q.Tasks(m.params())
	if err != nil {
		return err
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	format := openai.NewCompletions(q, n)
	var requests []engine.Request
	var read []int // tokens of each prompt
	for _, t := range tasks {
		if err := l.begin(&t); err != nil {
			return err
		}
		prompt, err := l.promptOf(r.Context(), q, &t)
		if err != nil {
			return err
		}
		format.AddPrompt(prompt)
		read = append(read, prompt.Read)
		requests = append(requests, copies(t.Request, n)...)
	}
	answers := unanswered(read, n)
	if !q.ScoresOnly() {
		answers = l.generateAll(r.Context(), requests)
	}
	set := answer.NewSet(len(requests))
	set.Continued() // the first blank is part of the text
	return s.respond(r.Context(), w, s.streamIf(q.Stream, w, asEvents), set, format, answers)
}

// unanswered returns the events of n answers without a token to each prompt, of which read has the
// number of tokens.
func unanswered(read []int, n int) iter.Seq2[indexed, error] {
	return func(yield func(indexed, error) bool) {
		for i := range len(read) * n {
			e := engine.Event{Done: &engine.Result{Finish: engine.FinishLength,
				Usage: engine.Usage{Prompt: read[i/n]}}}
			if !yield(indexed{e, i}, nil) {
				return
			}
		}
	}
}

// begin gives an empty prompt the token with which the model begins a text.
func (l *lease) begin(t *openai.CompletionTask) error {
	if !t.Prompt.Empty() {
		return nil
	}
	opening, ok := l.Model.Opening()
	if !ok {
		return failure.Field("prompt",
			"the prompt is empty, and the model has no token that begins a text; give a prompt")
	}
	t.Request.Before = []engine.Token{opening}
	return nil
}

// promptOf returns the prompt of a task as it comes back: its text, and, where wanted, its tokens
// with their probabilities.
func (l *lease) promptOf(ctx context.Context, q *openai.CompletionRequest,
	t *openai.CompletionTask) (*engine.Scores, error) {
	switch {
	case q.Echo && q.Logprobs != nil && !t.Prompt.Empty():
		recordOf(ctx).memory.turn()
		return l.Model.Score(ctx, engine.ScoreRequest{Prompt: t.Prompt.Text,
			Tokens: t.Prompt.Tokens, Top: int(*q.Logprobs)})
	case !q.Echo && !q.ScoresOnly():
		return &engine.Scores{}, nil
	}
	out := &engine.Scores{Text: t.Prompt.Text}
	count, err := l.Model.Count(ctx, t.Request)
	// which no answer would tell of where none is wanted
	if most := l.Model.Info().Context; err == nil && count.Prompt > most {
		err = fmt.Errorf("%w: it has %d tokens, and the context holds %d", engine.ErrContextLength,
			count.Prompt, most)
	}
	if err == nil && len(t.Prompt.Tokens) > 0 {
		out.Text, err = l.Model.Detokenize(t.Prompt.Tokens)
	}
	out.Read = count.Prompt
	return out, err
}
