package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/bench/sets"
)

// SetEvaluation is how well a model answers a public set, by the set's own metric. It is the
// document of "eyelet eval --set --json".
type SetEvaluation struct {
	Model   string         `json:"model"`
	Set     string         `json:"set"`    // folder
	Layout  string         `json:"layout"` // of package sets
	Split   string         `json:"split,omitempty"`
	Metrics []string       `json:"metrics"` // names, the one that the set is known by first
	Source  string         `json:"source"`  // where they are defined
	Kinds   []SetKindScore `json:"kinds"`   // in the order in which they first appear in the set
	All     SetKindScore   `json:"all"`
	// questions that could not be asked, which count as wrong
	Faults int `json:"faults"`
	// rows of the set of which no question could be made, which count for nothing
	Skipped int `json:"skipped"`
}

// SetKindScore is how well questions of one kind were answered: an interval for each metric.
type SetKindScore struct {
	Kind   string              `json:"kind,omitempty"`
	Scores map[string]Interval `json:"scores"`
}

// SetAnswer is an answer to a question of a public set, a line of a file of answers.
type SetAnswer struct {
	ID       string             `json:"id"`
	Kind     string             `json:"kind,omitempty"`
	Question string             `json:"question"`
	Answers  []string           `json:"answers"`
	Said     string             `json:"said"`
	Scores   map[string]float64 `json:"scores"`
	// Fault says why the question could not be asked. It counts as wrong, and a later run asks
	// again.
	Fault string `json:"fault,omitempty"`
}

// EvalSet asks a model all questions of a public set, each in a conversation of its own, and scores
// the answers. Answers that file holds already, which may be nil, are taken from there; others are
// written to it one by one. A question whose picture is damaged or whose prompt is too long counts
// as wrong; other errors end the evaluation.
func EvalSet(ctx context.Context, m *engine.Model, set *sets.Set, o EvalOptions,
	file *AnswerFile) (*SetEvaluation, error) {
	if o.MaxTokens == 0 {
		o.MaxTokens = set.Layout.MaxTokens
	}
	list := make([]SetAnswer, len(set.Questions))
	var todo []int
	for i, q := range set.Questions {
		if a, ok := file.answer(q.ID); ok && a.Fault == "" && a.Question == q.Text() &&
			slices.Equal(a.Answers, q.Answers) { // the set may have been corrected since
			list[i] = a
		} else {
			todo = append(todo, i)
		}
	}
	var mu sync.Mutex // of file, done, and of calls to o.Progress
	done := len(list) - len(todo)
	if o.Progress != nil {
		o.Progress(done, len(list))
	}
	err := eachAtATime(ctx, len(todo), o.Parallel, func(ctx context.Context, k int) error {
		i := todo[k]
		a, err := o.askSet(ctx, m, set, set.Questions[i])
		if err != nil {
			return nameFault(err, set.Folder+": question "+set.Questions[i].ID)
		}
		list[i] = a
		mu.Lock()
		defer mu.Unlock()
		if err := file.append(a); err != nil {
			return err
		}
		done++
		if o.Progress != nil {
			o.Progress(done, len(list))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sumSet(m.Info().Name, set, list), nil
}

// askSet asks a question and scores the answer.
func (o *EvalOptions) askSet(ctx context.Context, m *engine.Model, set *sets.Set,
	q sets.Question) (a SetAnswer, err error) {
	a = SetAnswer{ID: q.ID, Kind: q.Kind, Answers: q.Answers, Scores: map[string]float64{}}
	var content []engine.Content
	var pictures [][]byte
	a.Question = q.Text()
	for _, p := range q.Parts {
		if p.Picture == nil {
			content = append(content, engine.Text(p.Text))
			continue
		}
		data, err := p.Picture.Read()
		if err != nil {
			return o.fault(set, a, err)
		}
		content = append(content, engine.Picture(&engine.Image{Name: p.Picture.Name, Data: data}))
		pictures = append(pictures, data)
	}
	sized, err := q.Sized(ctx, pictures)
	if err != nil {
		return o.fault(set, a, fmt.Errorf("%w: %w", engine.ErrImage, err))
	}
	if a.Said, err = o.ask(ctx, m, content...); err != nil {
		return o.fault(set, a, err)
	}
	for i, s := range set.Layout.Metric.Score(a.Said, &sized) {
		a.Scores[set.Layout.Metric.Names[i]] = s
	}
	return a, nil
}

// fault makes an answer of an error that is the question's own, and returns others.
func (o *EvalOptions) fault(set *sets.Set, a SetAnswer, err error) (SetAnswer, error) {
	if !errors.Is(err, engine.ErrImage) && !errors.Is(err, engine.ErrContextLength) &&
		!errors.Is(err, sets.ErrSet) {
		return a, err
	}
	a.Fault = err.Error()
	for _, name := range set.Layout.Metric.Names {
		a.Scores[name] = 0
	}
	return a, nil
}

// sumSet makes the scores of answers.
func sumSet(model string, set *sets.Set, list []SetAnswer) *SetEvaluation {
	metric := set.Layout.Metric
	e := &SetEvaluation{
		Model: model, Set: set.Folder, Layout: set.Layout.Name, Split: set.Split,
		Metrics: metric.Names, Source: metric.Source, Skipped: set.Skipped,
		Kinds: []SetKindScore{}, All: sumKind("", metric.Names, list),
	}
	var kinds []string
	for _, a := range list {
		if a.Fault != "" {
			e.Faults++
		}
		if !slices.Contains(kinds, a.Kind) {
			kinds = append(kinds, a.Kind)
		}
	}
	if len(kinds) < 2 {
		return e
	}
	for _, kind := range kinds {
		part := slices.DeleteFunc(slices.Clone(list), func(a SetAnswer) bool {
			return a.Kind != kind
		})
		e.Kinds = append(e.Kinds, sumKind(kind, metric.Names, part))
	}
	return e
}

func sumKind(kind string, metrics []string, list []SetAnswer) SetKindScore {
	s := SetKindScore{Kind: kind, Scores: map[string]Interval{}}
	for _, name := range metrics {
		s.Scores[name] = bootstrap(scoresNamed(name, list))
	}
	return s
}

func scoresNamed(name string, list []SetAnswer) []float64 {
	values := make([]float64, len(list))
	for i, a := range list {
		values[i] = a.Scores[name]
	}
	return values
}
