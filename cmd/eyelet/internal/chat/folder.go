package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

// folder asks the same of every picture in a folder, and of every page of the documents in it: a
// batch without a queue, whose results are the lines of a file. A run that was interrupted goes on
// where it stopped. A picture that cannot be answered gets a line with the reason, and is asked
// about again by the next run.
func (s *Session) folder(in *input, answers *answerFile) error {
	if err := answers.begin(s.Model.Info().Name); err != nil {
		return err
	}
	s.barred = !s.o.Quiet && cli.IsTerminal(s.Stderr)
	progress := cli.NewItemProgress(s.Stderr, "pictures", len(in.items), s.o.Quiet)
	ctx, stop := context.WithCancelCause(s.Context)
	defer stop(nil)
	known := func(id string) bool { return answers.done[id] }
	var codes []int // exit codes of what is wrong with pictures that get no answer
	count, err := batch.Local{Items: s.folderItems(in, known), Known: known, Tries: 1,
		Parallel: s.o.Spec.Parallel, Done: progress.Done,
		Answer: func(ctx context.Context, t batch.Task) (*batch.Response, *batch.Fault) {
			return s.folderAnswer(ctx, in.question, t, stop)
		},
	}.Run(ctx, func(r batch.Result) error {
		if r.OK() {
			return answers.add(r.Response.Body)
		}
		codes = append(codes, cli.ItemExitCode(r.Error.Code))
		line, err := s.folderLine(in.question, r.CustomID, nil, r.Error.Message)
		if err != nil {
			return err
		}
		return answers.add(line)
	})
	progress.End()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err = errors.Join(err, answers.close()); err != nil {
		if s.Context.Err() != nil && !s.o.Quiet && answers.any() {
			fmt.Fprintf(s.Stderr,
				"%s keeps the answers so far; the same command goes on from there.\n", answers.path)
		}
		return err
	}
	if count.Failed > 0 {
		return &cli.CommonError{Code: cli.CommonCode(codes), Err: fmt.Errorf(
			"%d of %d pictures in %s could not be answered; %s says why", count.Failed,
			len(in.items), in.folder, answers.path)}
	}
	return nil
}

// folderItems are the pictures of a folder, each called as its line calls it.
func (s *Session) folderItems(in *input,
	known func(id string) bool) func(yield func(batch.Item, error) bool) {
	return func(yield func(batch.Item, error) bool) {
		for i, it := range in.items {
			item := batch.Item{ID: pictures.NameText(it.Name), Pictures: []batch.Source{{
				Name: it.Name, Path: it.Path, Page: it.Page}}}
			if it.Err != nil {
				item.Fault = folderFault(it.Err)
			}
			if !yield(item, nil) {
				return
			}
			if next := i + 1; s.o.Spec.Parallel == 1 && !known(item.ID) && next < len(in.items) &&
				in.items[next].Page >= 0 && !known(pictures.NameText(in.items[next].Name)) {
				// Nobody else would draw the next page while this one is computed.
				if picture, err := s.library.Page(s.Context, in.items[next]); err == nil {
					s.Model.Ahead(s.Context, picture, s.o.Request.ImageTokens)
				}
			}
		}
	}
}

// folderAnswer asks about one picture or page. What is true of every picture ends the run.
func (s *Session) folderAnswer(ctx context.Context, question string, t batch.Task,
	stop context.CancelCauseFunc) (*batch.Response, *batch.Fault) {
	file := t.Pictures[0]
	picture, err := s.library.Page(ctx, pictures.Item{Path: file.Path, Page: file.Page})
	var a answer
	if err == nil {
		request := s.o.Request
		one := input{question: question, images: []pictures.Labelled{{Image: picture}}}
		request.Messages = append(s.Opening(), one.message())
		a, err = s.ask(ctx, request, nil)
	}
	var line []byte
	if err == nil {
		report := s.report(nil, question, a)
		line, err = s.folderLine(question, t.ID, &report, "")
	}
	if errors.Is(err, engine.ErrNoVision) || errors.Is(err, engine.ErrRequest) {
		stop(err)
	}
	if err != nil {
		return nil, folderFault(err)
	}
	return &batch.Response{Status: 200, Body: line}, nil
}

// folderLine is the line about a picture: a report, or the reason why there is none.
func (s *Session) folderLine(question, name string, r *report, reason string) ([]byte, error) {
	return folderLine{Image: name, Question: question, Model: s.Model.Info().Name, report: r,
		Error: reason}.encode()
}

// folderFault is why a picture has no answer.
func folderFault(err error) *batch.Fault {
	return &batch.Fault{Code: cli.ItemFault(cli.ExitCode(err)), Message: cli.Describe(err)}
}
