package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/eyelet-engine/eyelet/engine"
)

// pictureSuffixes are the file names that a folder run takes for pictures.
var pictureSuffixes = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff",
	".heic", ".heif", ".pdf"}

// folder asks the same of every picture in a folder, and of every page of the documents in it.
// Answers go to a file, a JSON object a line, each written whole; a run that was interrupted goes
// on where it stopped. A picture that cannot be answered gets a line with the reason, and is asked
// about again by the next run.
func (s *session) folder(in *input, answers *answerFile) error {
	if err := answers.begin(s.model.Info().Name); err != nil {
		return err
	}
	bar := s.bar(len(in.items))
	failed, err := s.folderAnswers(in, answers, bar)
	if s.barred {
		fmt.Fprint(s.stderr, "\r\x1b[K") // the whole line: the terminal may have written ^C into it
	}
	if err = errors.Join(err, answers.close()); err != nil {
		if s.ctx.Err() != nil && !s.o.quiet && answers.any() {
			fmt.Fprintf(s.stderr,
				"%s keeps the answers so far; the same command goes on from there.\n", answers.path)
		}
		return err
	}
	if failed > 0 {
		return inputf("%d of %d pictures in %s could not be answered; %s says why", failed,
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
func (s *session) folderAnswers(in *input, answers *answerFile,
	bar *progressbar.ProgressBar) (failed int, err error) {
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	// An answer is in hand and one more can be asked for when this has room for it: so many are
	// under way at a time.
	asked := make(chan *future, s.o.spec.Parallel-1)
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
	if s.ctx.Err() != nil {
		err = s.ctx.Err()
	}
	return failed, err
}

// askEach begins to ask about each picture that has no answer yet, and closes asked when there are
// no more or ctx is done.
func (s *session) askEach(ctx context.Context, in *input, answers *answerFile,
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
		if known(it.name) {
			close(f.done)
			continue
		}
		go func() {
			defer close(f.done)
			f.line, f.err = s.folderAnswer(ctx, in, it)
		}()
		if next := i + 1; s.o.spec.Parallel == 1 && next < len(in.items) &&
			in.items[next].page >= 0 && !known(in.items[next].name) {
			// Nobody else would draw the next page while this one is computed.
			if picture, err := s.library.page(ctx, in.items[next]); err == nil {
				s.model.Ahead(ctx, picture, s.o.request.ImageTokens)
			}
		}
	}
}

// folderAnswer asks about one picture or page. Only what ends the whole run is an error.
func (s *session) folderAnswer(ctx context.Context, in *input, it item) (folderLine, error) {
	line := folderLine{Image: it.name, Question: in.question, Model: s.model.Info().Name}
	picture, err := s.library.page(ctx, it)
	var a answer
	if err == nil {
		request := s.o.request
		one := input{question: in.question, images: []shown{{Image: picture}}}
		request.Messages = append(s.opening(), one.message())
		a, err = s.ask(ctx, request, nil)
	}
	switch {
	case ctx.Err() != nil:
		return line, ctx.Err()
	case errors.Is(err, engine.ErrNoVision), errors.Is(err, engine.ErrRequest):
		return line, err // true of every picture
	case err != nil:
		line.Error = describe(err)
	default:
		r := s.report(nil, in.question, a)
		line.report = &r
	}
	return line, nil
}

// What people keep beside pictures, and may expect answers about.
var (
	videoSuffixes = []string{".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg",
		".flv", ".mjpeg", ".mjpg"}
	drawingSuffixes = []string{".svg", ".svgz"}
)

// picturesIn lists the pictures of a folder by name, sorted, without hidden files. leftOut tells of
// others that show something, "" if there are none.
func picturesIn(folder string) (names []string, leftOut string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, "", inputf("%s: %w", folder, causeOf(err))
	}
	videos, drawings := 0, 0
	for _, e := range entries {
		special := e.Type()&^fs.ModeSymlink != 0 // folders, pipes and the like
		if special || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		switch suffix := strings.ToLower(filepath.Ext(e.Name())); {
		case slices.Contains(pictureSuffixes, suffix):
			names = append(names, e.Name())
		case slices.Contains(videoSuffixes, suffix):
			videos++
		case slices.Contains(drawingSuffixes, suffix):
			drawings++
		}
	}
	var others []string
	if videos > 0 {
		others = append(others,
			plural(videos, "video")+" (ask about each for itself, without --jsonl)")
	}
	if drawings > 0 {
		others = append(others, plural(drawings, "SVG file")+" (make pictures of them first)")
	}
	if len(others) > 0 {
		leftOut = folder + ": left out " + strings.Join(others, " and ")
	}
	if len(names) == 0 {
		text := fmt.Sprintf("%s holds no pictures (%s)", folder, strings.Join(pictureSuffixes,
			", "))
		if len(others) > 0 {
			text += ", but " + strings.Join(others, " and ")
		}
		return nil, "", inputf("%s", text)
	}
	return names, leftOut, nil
}

// bar shows progress over the pictures to a person.
func (s *session) bar(n int) *progressbar.ProgressBar {
	if s.o.quiet || !isTerminal(s.stderr) {
		return progressbar.DefaultSilent(int64(n))
	}
	s.barred = true
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(s.stderr),
		progressbar.OptionSetDescription("pictures"), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
	_ = bar.RenderBlank()
	return bar
}
