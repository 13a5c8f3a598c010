package chat

import (
	"context"
	"errors"
	"fmt"

	"github.com/schollz/progressbar/v3"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
)

// folder asks the same of every picture in a folder, and of every page of the documents in it.
// Answers go to a file, a JSON object a line, each written whole; a run that was interrupted goes
// on where it stopped. A picture that cannot be answered gets a line with the reason, and is asked
// about again by the next run.
func (s *Session) folder(in *input, answers *answerFile) error {
	if err := answers.begin(s.Model.Info().Name); err != nil {
		return err
	}
	bar := s.bar(len(in.items))
	failed, err := s.folderAnswers(in, answers, bar)
	if s.barred {
		fmt.Fprint(s.Stderr, "\r\x1b[K") // the whole line: the terminal may have written ^C into it
	}
	if err = errors.Join(err, answers.close()); err != nil {
		if s.Context.Err() != nil && !s.o.Quiet && answers.any() {
			fmt.Fprintf(s.Stderr,
				"%s keeps the answers so far; the same command goes on from there.\n", answers.path)
		}
		return err
	}
	if failed > 0 {
		return cli.Inputf("%d of %d pictures in %s could not be answered; %s says why", failed,
			len(in.items), in.folder, answers.path)
	}
	return nil
}

// future is an answer on its way.
type future struct {
	line folderLine
	err  error
	done chan struct{}
}

// folderAnswers asks about the pictures that have no answer yet, some at a time, writes the answers
// in order, and counts those that get none.
func (s *Session) folderAnswers(in *input, answers *answerFile,
	bar *progressbar.ProgressBar) (failed int, err error) {
	ctx, stop := context.WithCancel(s.Context)
	defer stop()
	// An answer is in hand and one more can be asked for when this has room for it: so many are
	// under way at a time.
	asked := make(chan *future, s.o.Spec.Parallel-1)
	go s.askEach(ctx, in, answers, asked)
	for f := range asked {
		<-f.done
		if err == nil {
			err = f.err
		}
		if err != nil {
			stop()
			continue // until all have ended
		}
		if f.line.Error != "" {
			failed++
		}
		if f.line.Image != "" {
			if err = answers.add(f.line); err != nil {
				stop()
			}
		}
		_ = bar.Add(1)
	}
	if s.Context.Err() != nil {
		err = s.Context.Err()
	}
	return failed, err
}

// askEach begins to ask about each picture that has no answer yet, and closes asked when there are
// no more or ctx is done.
func (s *Session) askEach(ctx context.Context, in *input, answers *answerFile,
	asked chan<- *future) {
	defer close(asked)
	// JSON knows no bytes that are not UTF-8: a name comes back from the file with U+FFFD in their
	// place, as by []rune.
	known := func(name string) bool { return answers.done[string([]rune(name))] }
	for i, it := range in.items {
		f := &future{done: make(chan struct{})}
		select {
		case asked <- f:
		case <-ctx.Done():
			return
		}
		if known(it.Name) {
			close(f.done)
			continue
		}
		go func() {
			defer close(f.done)
			f.line, f.err = s.folderAnswer(ctx, in, it)
		}()
		if next := i + 1; s.o.Spec.Parallel == 1 && next < len(in.items) &&
			in.items[next].Page >= 0 && !known(in.items[next].Name) {
			// Nobody else would draw the next page while this one is computed.
			if picture, err := s.library.Page(ctx, in.items[next]); err == nil {
				s.Model.Ahead(ctx, picture, s.o.Request.ImageTokens)
			}
		}
	}
}

// folderAnswer asks about one picture or page. Only what ends the whole run is an error.
func (s *Session) folderAnswer(ctx context.Context, in *input, it pictures.Item) (folderLine, error) {
	line := folderLine{Image: it.Name, Question: in.question, Model: s.Model.Info().Name}
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
		return line, ctx.Err()
	case errors.Is(err, engine.ErrNoVision), errors.Is(err, engine.ErrRequest):
		return line, err // true of every picture
	case err != nil:
		line.Error = cli.Describe(err)
	default:
		r := s.report(nil, in.question, a)
		line.report = &r
	}
	return line, nil
}

// bar shows progress over the pictures to a person.
func (s *Session) bar(n int) *progressbar.ProgressBar {
	if s.o.Quiet || !cli.IsTerminal(s.Stderr) {
		return progressbar.DefaultSilent(int64(n))
	}
	s.barred = true
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(s.Stderr),
		progressbar.OptionSetDescription("pictures"), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
	_ = bar.RenderBlank()
	return bar
}
