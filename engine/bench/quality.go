package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// Quality is how good a combination of model, projector and type of the KV cache is, beside that of
// the base.
type Quality struct {
	Text *Distribution `json:"text"` // over a text
	// of right answers to questions about pictures; null without a projector
	AfterImage *Distribution `json:"after_image"`
	Answers    *Answers      `json:"answers"` // the model's own answers to them
	Note       string        `json:"note,omitempty"`
}

// Answers are the scores of a model's answers to questions about pictures, with 95 % intervals.
type Answers struct {
	Exact Interval `json:"exact"` // but for case, spaces and a full stop at the end
	F1    Interval `json:"f1"`
	ANLS  Interval `json:"anls"`
	// SameAsBase is the share of answers that are the base's to the letter, DeltaANLS the
	// difference of the same questions' ANLS from the base's; nil for the base itself.
	SameAsBase *Interval `json:"same_as_base,omitempty"`
	DeltaANLS  *Interval `json:"delta_anls,omitempty"`
}

// textQuality runs a text through a model. The base's distributions go to the file base if isBase
// is set, else they are read there. beside is that of the base beside itself, which others with its
// model have; nil for others.
func textQuality(ctx context.Context, lm *llama.Model, text, base string, isBase bool, kv string,
	threads, windows int, progress func(done, total int)) (d, beside *Distribution, err error) {
	return compareWith(base, isBase, func(see place) error {
		return scoreText(ctx, lm, text, kv, threads, windows, see, progress)
	})
}

// compareWith lets run show places, and compares them with those of the base, and the base with
// itself.
func compareWith(base string, isBase bool, run func(place) error) (d, beside *Distribution,
	err error) {
	var c comparison
	if isBase {
		return writeBase(base, run)
	}
	r, err := openBase(base)
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	err = run(func(logits []float32, next llama.Token) error {
		d, err := r.next(next, len(logits))
		if err != nil {
			return err
		}
		return c.add(logits, d, next)
	})
	if err != nil {
		return nil, nil, err
	}
	return c.result(), nil, nil
}

// writeBase writes the distributions of the places that run shows.
func writeBase(base string, run func(place) error) (d, beside *Distribution, err error) {
	var alone, self comparison
	w, err := createBase(base)
	if err != nil {
		return nil, nil, err
	}
	err = run(func(logits []float32, next llama.Token) error {
		if err := errors.Join(alone.add(logits, nil, next), w.add(logits, next)); err != nil {
			return err
		}
		return self.add(logits, &w.d, next)
	})
	if err != nil {
		w.abandon()
		return nil, nil, err
	}
	if err := w.finish(); err != nil {
		return nil, nil, err
	}
	return alone.result(), self.result(), nil
}

// said is an answer with its scores, a line of a file of answers.
type said struct {
	Kind     string   `json:"kind,omitempty"`
	Picture  string   `json:"picture"`
	Question string   `json:"question"`
	Answers  []string `json:"answers"`
	Said     string   `json:"said"`
	Exact    float64  `json:"exact"`
	F1       float64  `json:"f1"`
	ANLS     float64  `json:"anls"`
}

func score(q Question, text string) said {
	return said{
		Kind: q.Kind, Picture: q.Picture, Question: q.Question, Answers: q.Answers, Said: text,
		Exact: best(exactMatch, text, q.Answers), F1: best(f1, text, q.Answers),
		ANLS: best(anls, text, q.Answers),
	}
}

// sumAnswers makes the scores of answers, and compares them with the base's to the same questions,
// if there are any.
func sumAnswers(list, base []said) *Answers {
	exact, f, a := make([]float64, len(list)), make([]float64, len(list)),
		make([]float64, len(list))
	for i, s := range list {
		exact[i], f[i], a[i] = s.Exact, s.F1, s.ANLS
	}
	answers := &Answers{Exact: bootstrap(exact), F1: bootstrap(f), ANLS: bootstrap(a)}
	if len(base) != len(list) {
		return answers
	}
	same, theirs := make([]float64, len(list)), make([]float64, len(list))
	for i := range list {
		theirs[i] = base[i].ANLS
		if list[i].Said == base[i].Said {
			same[i] = 1
		}
	}
	s, d := bootstrap(same), bootstrap(differences(a, theirs))
	answers.SameAsBase, answers.DeltaANLS = &s, &d
	return answers
}

// writeAnswers writes answers as JSON lines, all or none.
func writeAnswers(path string, list []said) error {
	return writeAtomically(path, func(w *bufio.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		for _, s := range list {
			if err := encoder.Encode(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// readAnswers reads what writeAnswers wrote.
func readAnswers(path string) (list []said, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf(
			"bench: the answers of the base are missing: %w; measure the base again",
			err)
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	for d.More() {
		var s said
		if err := d.Decode(&s); err != nil {
			return nil, fmt.Errorf("bench: %s: %w", path, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// writeAtomically writes a file that all may read, whole or not at all.
func writeAtomically(path string, write func(*bufio.Writer) error) error {
	err := atomicfile.Write(path, atomicfile.Options{}, func(to io.Writer) error {
		w := bufio.NewWriter(to)
		return errors.Join(write(w), w.Flush())
	})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}
