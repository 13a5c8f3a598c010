package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/eyelet-engine/eyelet/engine"
)

// EvalOptions say how [Eval] asks. All may be left at zero.
type EvalOptions struct {
	Parallel  int // questions under way at a time; 0 means one
	MaxTokens int // longest answer; 0 means 256
	// what is the same for all questions; its Messages come before each
	Request  engine.Request
	Progress func(done, total int) // called after each answer, from one goroutine at a time
}

// defaultEvalTokens is the longest answer where nothing else is said.
const defaultEvalTokens = 256

// Evaluation is how well a model answers a set of questions.
type Evaluation struct {
	Model     string       `json:"model"`
	Questions string       `json:"questions"` // name of the set
	Kinds     []KindScores `json:"kinds"`     // in the order in which they first appear in the set
	All       KindScores   `json:"all"`

	said []said
}

// KindScores are the scores of the answers to questions of one kind, from 0 to 1, with 95 %
// intervals.
type KindScores struct {
	Kind    string   `json:"kind,omitempty"`
	Literal Interval `json:"literal"` // right to the letter, but for spaces around the answer
	Exact   Interval `json:"exact"`   // but for case, spaces and a full stop at the end
	F1      Interval `json:"f1"`
	ANLS    Interval `json:"anls"`
}

// Eval asks a model all questions of a set, each in a conversation of its own, and scores the
// answers. Errors are those of [engine.Model.Generate], with the name of the picture, and ctx's
// own; the first one ends the evaluation.
func Eval(ctx context.Context, m *engine.Model, set *QuestionSet,
	o EvalOptions) (*Evaluation, error) {
	list, err := askAll(ctx, m, set, o)
	if err != nil {
		return nil, err
	}
	e := &Evaluation{Model: m.Info().Name, Questions: set.Name, All: scoresOf("", list), said: list}
	var kinds []string
	for _, s := range list {
		if !slices.Contains(kinds, s.Kind) {
			kinds = append(kinds, s.Kind)
		}
	}
	if len(kinds) == 1 && kinds[0] == "" {
		return e, nil
	}
	for _, kind := range kinds {
		var part []said
		for _, s := range list {
			if s.Kind == kind {
				part = append(part, s)
			}
		}
		e.Kinds = append(e.Kinds, scoresOf(kind, part))
	}
	return e, nil
}

// WriteAnswers writes the questions with the model's answers and their scores to a file of JSON
// lines, all or none.
func (e *Evaluation) WriteAnswers(path string) error { return writeAnswers(path, e.said) }

// scoresOf makes the scores of answers, one at least.
func scoresOf(kind string, list []said) KindScores {
	values := func(of func(said) float64) Interval {
		v := make([]float64, len(list))
		for i, s := range list {
			v[i] = of(s)
		}
		return bootstrap(v)
	}
	return KindScores{
		Kind:    kind,
		Literal: values(func(s said) float64 { return best(literalMatch, s.Said, s.Answers) }),
		Exact:   values(func(s said) float64 { return s.Exact }),
		F1:      values(func(s said) float64 { return s.F1 }),
		ANLS:    values(func(s said) float64 { return s.ANLS }),
	}
}

// askAll asks the questions, some at a time, and returns the answers in the order of the set.
func askAll(ctx context.Context, m *engine.Model, set *QuestionSet, o EvalOptions) ([]said, error) {
	list := make([]said, len(set.Questions))
	var mu sync.Mutex // of done, and of calls to o.Progress
	done := 0
	err := eachAtATime(ctx, len(list), o.Parallel, func(ctx context.Context, i int) error {
		q := set.Questions[i]
		data, err := set.Read(q.Picture)
		if err != nil {
			return err
		}
		text, err := o.ask(ctx, m, engine.Picture(&engine.Image{Name: q.Picture, Data: data}),
			engine.Text(q.Question))
		if err != nil {
			return nameFault(err, set.Name+": "+q.Picture)
		}
		list[i] = score(q, text)
		mu.Lock()
		defer mu.Unlock()
		done++
		if o.Progress != nil {
			o.Progress(done, len(list))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// nameFault says which question an error belongs to; that of a cancelled run belongs to none.
func nameFault(err error, question string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("bench: %s: %w", question, err)
}

// eachAtATime calls do with the numbers from 0 to n-1, so many at a time. The first error ends it,
// and is returned.
func eachAtATime(ctx context.Context, n, parallel int, do func(ctx context.Context,
	i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(parallel, 1) {
		workers.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					stop(err)
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// ask asks a question in a conversation of its own.
func (o *EvalOptions) ask(ctx context.Context, m *engine.Model,
	content ...engine.Content) (string, error) {
	r := o.Request
	r.Messages = append(slices.Clone(r.Messages), engine.User(content...))
	if r.MaxTokens = o.MaxTokens; r.MaxTokens == 0 {
		r.MaxTokens = defaultEvalTokens
	}
	var text strings.Builder
	for event, err := range m.Generate(ctx, r) {
		if err != nil {
			return "", err
		}
		text.WriteString(event.Text)
	}
	return strings.TrimSpace(text.String()), nil
}
