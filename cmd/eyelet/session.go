package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// session is an open model with the streams to talk over.
type session struct {
	ctx     context.Context
	cmd     *cobra.Command
	o       *runOptions
	engine  *engine.Engine
	model   *engine.Model
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	library library
	barred  bool // a progress bar has the terminal's last line
	trace   *tracer
}

// open loads the model that the flags name, or the built-in one, and shows progress if that takes
// long.
func open(cmd *cobra.Command, o *runOptions) (*session, error) {
	s := &session{ctx: cmd.Context(), cmd: cmd, o: o, stdin: cmd.InOrStdin(),
		stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
	spec := o.spec
	if spec.Model == "" {
		var err error
		if spec.Model, spec.Projector, err = builtin.Extract(""); err != nil {
			return nil, err
		}
	}
	var err error
	if s.trace, err = openTrace(o.trace, s.stderr); err != nil {
		return nil, err
	}
	if s.engine, err = engine.New(engine.Options{Threads: o.threads}); err != nil {
		return nil, err
	}
	w := s.wait("loading the model")
	spec.Progress = w.fraction
	var notices []string
	spec.Notice = func(text string) { notices = append(notices, text) }
	s.model, err = s.engine.Load(s.ctx, spec)
	w.done()
	if err != nil {
		s.engine.Close()
		return nil, err
	}
	for _, text := range notices {
		if !o.quiet {
			fmt.Fprintf(s.stderr, "eyelet: note: %s\n", text)
		}
	}
	if c := s.model.Info().Caution; c != "" {
		fmt.Fprintf(s.stderr, "eyelet: note: %s\n", c)
	}
	if o.request.ImageTokens != (engine.Budget{}) {
		if n, fixed := s.model.FixedImageTokens(); fixed {
			fmt.Fprintf(s.stderr,
				"eyelet: note: --image-tokens has no effect: %s gives every picture %s\n",
				s.model.Info().Name, plural(n, "token"))
		}
	}
	return s, nil
}

// close ends the session; counters come last, on stderr.
func (s *session) close() error {
	var err error
	if s.o.stats {
		stats := s.model.Stats()
		err = errors.Join(stats.Text(s.stderr), acceleratorText(s.stderr))
	}
	return errors.Join(err, s.engine.Close(), s.trace.close())
}

// closeInto closes the session, and tells of a failure where there was none before.
func (s *session) closeInto(err *error) {
	if e := s.close(); *err == nil {
		*err = e
	}
}

// opening is what comes before the user's first turn.
func (s *session) opening() []engine.Message {
	if len(s.o.kept) > 0 {
		return slices.Clone(s.o.kept)
	}
	if s.o.system == "" {
		return nil
	}
	return []engine.Message{engine.System(s.o.system)}
}

// answer is the whole of an answer.
type answer struct {
	text   string
	result engine.Result
}

// errWrite marks an answer that could not be written, which no other answer will be either.
var errWrite = errors.New("writing the answer")

// ask sends a request and writes the text to out as it comes. The answer so far is returned with an
// error too. Models begin an answer with the space that separates words; it is left out, except of
// what continues raw text.
func (s *session) ask(ctx context.Context, request engine.Request, out io.Writer) (answer, error) {
	var a answer
	var text strings.Builder
	w := s.wait("reading the prompt")
	defer w.done()
	keepBudget(request)
	note, write := s.trace.begin()
	defer write()
	request.Trace = note
	for event, err := range s.model.Generate(ctx, request) {
		w.done()
		if err != nil {
			a.text = text.String()
			return a, err
		}
		piece := event.Text
		if text.Len() == 0 && request.Prompt == "" {
			piece = strings.TrimLeft(piece, " ")
		}
		text.WriteString(piece)
		if out != nil {
			if _, err := io.WriteString(out, piece); err != nil {
				return a, fmt.Errorf("%w: %w", errWrite, err)
			}
		}
		if event.Done != nil {
			a.result = *event.Done
		}
	}
	a.text = text.String()
	return a, nil
}

// keepBudget makes a request's budget that of its new pictures, with which it is kept: they cost
// the same when the conversation goes on without it.
func keepBudget(request engine.Request) {
	if n := len(request.Messages); n > 0 {
		for _, c := range request.Messages[n-1].Content {
			if c.Image != nil && c.Image.Tokens == (engine.Budget{}) {
				c.Image.Tokens = request.ImageTokens
			}
		}
	}
}

// report is the JSON form of an answer.
type report struct {
	Model    string   `json:"model"`
	Images   []string `json:"images,omitempty"`
	Question string   `json:"question"`
	Text     string   `json:"text"`
	// with --boxes, in pixels of the upright picture
	Boxes   []boxes.Mark   `json:"boxes,omitempty"`
	Finish  string         `json:"finish_reason"`
	Seed    *uint32        `json:"seed,omitempty"`
	Usage   engine.Usage   `json:"usage"`
	Timings engine.Timings `json:"timings"`
	// nil where the grammar has held all of the schema
	Checked *bool `json:"schema_checked,omitempty"`
}

func (s *session) report(images []string, question string, a answer) report {
	r := report{Model: s.model.Info().Name, Images: images, Question: question, Text: a.text,
		Finish: string(a.result.Finish), Usage: a.result.Usage, Timings: a.result.Timings}
	if c := a.result.SchemaChecked; c != nil {
		r.Checked = &c.Valid
	}
	if s.o.request.Sampling.Temperature > 0 {
		r.Seed = &a.result.Seed
	}
	return r
}
