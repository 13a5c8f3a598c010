package chat

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

// folder asks the same of every picture in a folder, and of every page of the documents in it.
// Answers go to a file, a JSON object a line, each written whole; a run that was interrupted goes
// on where it stopped. A picture that cannot be answered gets a line with the reason, and is asked
// about again by the next run.
func (s *Session) folder(in *input, answers *answerFile) error {
	if err := answers.begin(s.Model.Info().Name); err != nil {
		return err
	}
	s.barred = !s.o.Quiet && cli.IsTerminal(s.Stderr)
	progress := cli.NewItemProgress(s.Stderr, "pictures", len(in.items), s.o.Quiet)
	codes, err := s.folderAnswers(in, answers, progress)
	progress.End()
	if err = errors.Join(err, answers.close()); err != nil {
		if s.Context.Err() != nil && !s.o.Quiet && answers.any() {
			fmt.Fprintf(s.Stderr,
				"%s keeps the answers so far; the same command goes on from there.\n", answers.path)
		}
		return err
	}
	if len(codes) > 0 {
		return &cli.CommonError{Code: cli.CommonCode(codes), Err: fmt.Errorf(
			"%d of %d pictures in %s could not be answered; %s says why", len(codes),
			len(in.items), in.folder, answers.path)}
	}
	return nil
}

// folderTask is a picture of a folder run.
type folderTask struct {
	item  pictures.Item
	known bool // it has an answer
}

// folderResult is a line about a picture, or what ends the run.
type folderResult struct {
	line folderLine
	code int // the exit code of what is wrong with the picture
	err  error
}

// folderAnswers asks about the pictures that have no answer yet, some at a time, writes the answers
// in order, and returns the exit codes of what is wrong with those that get none.
func (s *Session) folderAnswers(in *input, answers *answerFile,
	progress *cli.ItemProgress) (codes []int, err error) {
	answer := func(ctx context.Context, t folderTask) (r folderResult) {
		if !t.known {
			r = s.folderAnswer(ctx, in, t.item)
		}
		return r
	}
	for r := range batch.InOrder(s.Context, s.o.Spec.Parallel, s.folderTasks(in, answers), answer) {
		err = r.err
		if r.line.Image != "" && err == nil {
			err = answers.add(r.line)
		}
		if err != nil {
			break
		}
		if r.line.Error != "" {
			codes = append(codes, r.code)
		}
		progress.Done(r.line.Error == "", r.line.Image == "")
	}
	if s.Context.Err() != nil {
		err = s.Context.Err()
	}
	return codes, err
}

// folderTasks are the pictures of a folder.
func (s *Session) folderTasks(in *input, answers *answerFile) iter.Seq[folderTask] {
	known := func(name string) bool { return answers.done[pictures.NameText(name)] }
	return func(yield func(folderTask) bool) {
		for i, it := range in.items {
			if !yield(folderTask{it, known(it.Name)}) {
				return
			}
			if next := i + 1; s.o.Spec.Parallel == 1 && !known(it.Name) && next < len(in.items) &&
				in.items[next].Page >= 0 && !known(in.items[next].Name) {
				// Nobody else would draw the next page while this one is computed.
				if picture, err := s.library.Page(s.Context, in.items[next]); err == nil {
					s.Model.Ahead(s.Context, picture, s.o.Request.ImageTokens)
				}
			}
		}
	}
}

// folderAnswer asks about one picture or page. Only what ends the whole run is an error.
func (s *Session) folderAnswer(ctx context.Context, in *input, it pictures.Item) (r folderResult) {
	r.line = folderLine{Image: pictures.NameText(it.Name), Question: in.question,
		Model: s.Model.Info().Name}
	picture, err := s.library.Page(ctx, it)
	var a answer
	if err == nil {
		request := s.o.Request
		one := input{question: in.question, images: []pictures.Labelled{{Image: picture}}}
		request.Messages = append(s.Opening(), one.message())
		a, err = s.ask(ctx, request, nil)
	}
	switch {
	case ctx.Err() != nil:
		r.err = ctx.Err()
	case errors.Is(err, engine.ErrNoVision), errors.Is(err, engine.ErrRequest):
		r.err = err // true of every picture
	case err != nil:
		r.line.Error, r.code = cli.Describe(err), cli.ExitCode(err)
	default:
		report := s.report(nil, in.question, a)
		r.line.report = &report
	}
	return r
}
