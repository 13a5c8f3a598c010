package sets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// reading is a set whose questions are being read.
type reading struct {
	set           *Set
	seen          map[string]int   // places of questions by their names
	answers       map[string][]any // of people, by question
	skipped, lost error            // of the first row, and of the first picture
}

// table adds the questions of a table.
func (in *reading) table(ctx context.Context, t *table) error {
	add := func(r record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.row++
		return in.row(r, t)
	}
	if t.rows != nil {
		for _, row := range t.rows {
			t.row = row.number - 1
			if err := add(row.record); err != nil {
				return err
			}
		}
		return nil
	}
	if t.file == nil {
		return eachJSON(t.path, add)
	}
	rows, err := t.file.records(t.layout.reads, maxQuestions)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := add(r); err != nil {
			return err
		}
	}
	return nil
}

// row adds the questions of a row, or counts it among those of which none can be made.
func (in *reading) row(r record, t *table) error {
	if list := in.answers[r.text("question_id")]; list != nil {
		r["answers"] = list
	}
	list, err := t.layout.read(r, &t.source)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%w: there is no question in it", ErrSet)
	}
	if err != nil {
		err = fmt.Errorf("%s: row %d: %w", t.relative, t.row, err)
		if !errors.Is(err, ErrSet) {
			return err
		}
		if in.set.Skipped++; in.skipped == nil {
			in.skipped, in.set.WhySkipped = err, strings.Replace(err.Error(), ErrSet.Error()+": ",
				"", 1)
		}
		return nil
	}
	for _, q := range list {
		if err := in.add(q, t); err != nil {
			return err
		}
	}
	return nil
}

// add adds a question. Sets are often there twice, as JSON of two editions or beside Parquet: the
// same question with the same answers counts once.
func (in *reading) add(q Question, t *table) error {
	set := in.set
	if at, ok := in.seen[q.ID]; ok {
		if other := &set.Questions[at]; other.same(&q) {
			other.Kind = cmp.Or(other.Kind, q.Kind)
			return nil
		}
		q.ID = t.rowID() + ":" + q.ID
	}
	if _, ok := in.seen[q.ID]; ok || len(set.Questions) == maxQuestions {
		return fmt.Errorf("row %d: %w: more than %d questions, or two with the same name", t.row,
			ErrSet, maxQuestions)
	}
	in.seen[q.ID] = len(set.Questions)
	for _, part := range q.Parts {
		if part.Picture == nil || part.Picture.lost == nil {
			continue
		}
		if set.NoPicture++; in.lost == nil {
			in.lost, set.WhichPicture = part.Picture.lost, part.Picture.Name
		}
		break
	}
	set.Questions = append(set.Questions, q)
	return nil
}

// same reports whether two questions ask the same, and have the same answers.
func (q *Question) same(other *Question) bool {
	return q.Box == other.Box && slices.Equal(q.Answers, other.Answers) &&
		slices.Equal(q.Choices, other.Choices) &&
		slices.EqualFunc(q.Parts, other.Parts, func(a, b Part) bool {
			return a.Text == b.Text && (a.Picture == nil) == (b.Picture == nil)
		})
}
