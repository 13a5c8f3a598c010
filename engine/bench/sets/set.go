package sets

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
)

// The bounds of a set: questions, files of its folder, how deep folders nest.
const (
	maxQuestions = 500_000
	maxFiles     = 2_000_000
	maxDepth     = 8
)

// Set is an open set of questions.
type Set struct {
	Layout    *Layout
	Folder    string
	Split     string // "" where the files name none
	Questions []Question
	// Missing counts the files that are not there of a set in numbered files, as in
	// "00000-of-00003".
	Missing int
	// Skipped counts the rows of which no question could be made, for want of an answer or of
	// anything else, and WhySkipped says it of the first.
	Skipped    int
	WhySkipped string
	// NoPicture counts the questions that name a picture which is not there, and WhichPicture is
	// the first. Reading it is an error.
	NoPicture    int
	WhichPicture string

	files []io.Closer
}

// Open reads a set in a folder. layout and split may be "", and are then found. Errors wrap ErrSet,
// or tell what could not be read.
func Open(ctx context.Context, root, layout, split string) (opened *Set, err error) {
	want := LayoutNamed(layout)
	if layout != "" && want == nil {
		return nil, fmt.Errorf("sets: %w: there is no layout %q", ErrSet, layout)
	}
	set := &Set{Folder: root}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("sets: %w", err)
	}
	dir, err := lookInto(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("sets: %w", err)
	}
	defer func() {
		if err != nil {
			set.Close()
		}
	}()
	tables, err := set.tables(ctx, dir, root, want)
	if err != nil {
		return nil, err
	}
	if tables, err = set.choose(tables, split); err != nil {
		return nil, err
	}
	set.Missing = missing(tables)
	in := reading{set: set, seen: map[string]int{}, answers: dir.answers}
	for _, t := range tables {
		if err := in.table(ctx, &t); err != nil {
			return nil, fmt.Errorf("sets: %s: %w", t.path, err)
		}
	}
	switch {
	case len(set.Questions) == 0 && in.skipped != nil:
		return nil, fmt.Errorf("sets: %s: %w", root, in.skipped)
	case len(set.Questions) == 0:
		return nil, fmt.Errorf("sets: %s: %w: it holds no question", root, ErrSet)
	case set.NoPicture == len(set.Questions):
		return nil, fmt.Errorf("sets: %s: %w", root, in.lost)
	}
	return set, nil
}

// Sample keeps n of the questions, the same for the same seed, in their order; all if n is 0 or
// there are no more.
func (set *Set) Sample(n int, seed uint64) {
	if n <= 0 || n >= len(set.Questions) {
		return
	}
	chosen := rand.New(rand.NewPCG(seed, 0)).Perm(len(set.Questions))[:n]
	slices.Sort(chosen)
	list := make([]Question, n)
	for i, k := range chosen {
		list[i] = set.Questions[k]
	}
	set.Questions = list
}

// Close closes the files. It is idempotent.
func (set *Set) Close() error {
	for _, f := range set.files {
		f.Close() // open for reading alone
	}
	set.files = nil
	return nil
}
