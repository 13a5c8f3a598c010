package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// Session is an open model with the streams that questions come from and answers go to.
type Session struct {
	Context context.Context
	cmd     *cobra.Command
	o       *Options
	engine  *engine.Engine
	Model   *engine.Model
	stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	library pictures.Library
	barred  bool // a progress bar has the terminal's last line
	trace   *tracer
}

// Open loads the model that the flags name, or the built-in one without such a flag. It shows
// progress if that takes long.
func Open(cmd *cobra.Command, o *Options) (*Session, error) {
	s := &Session{Context: cmd.Context(), cmd: cmd, o: o, stdin: cmd.InOrStdin(),
		Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr()}
	spec := o.Spec
	if spec.Model == "" {
		var err error
		if spec.Model, spec.Projector, err = builtin.Extract(""); err != nil {
			return nil, err
		}
	}
	var err error
	if s.trace, err = openTrace(o.trace, s.Stderr); err != nil {
		return nil, err
	}
	if s.engine, err = engine.New(engine.Options{Threads: o.Threads}); err != nil {
		return nil, err
	}
	w := s.wait("loading the model")
	spec.Progress = w.SetFraction
	var notices []string
	spec.Notice = func(text string) { notices = append(notices, text) }
	s.Model, err = s.engine.Load(s.Context, spec)
	w.Done()
	if err != nil {
		s.engine.Close()
		return nil, err
	}
	for _, text := range notices {
		if !o.Quiet {
			fmt.Fprintf(s.Stderr, "eyelet: note: %s\n", text)
		}
	}
	if c := s.Model.Info().Caution; c != "" {
		fmt.Fprintf(s.Stderr, "eyelet: note: %s\n", c)
	}
	if o.Request.ImageTokens != (engine.Budget{}) {
		if n, fixed := s.Model.FixedImageTokens(); fixed {
			fmt.Fprintf(s.Stderr,
				"eyelet: note: --image-tokens has no effect: %s gives every picture %s\n",
				s.Model.Info().Name, cli.Plural(n, "token"))
		}
	}
	return s, nil
}

// close ends the session, and last prints the counters on stderr.
func (s *Session) close() error {
	var err error
	if s.o.stats {
		stats := s.Model.Stats()
		err = errors.Join(cli.WriteCounters(s.Stderr, &stats),
			cli.WriteAcceleratorCounters(s.Stderr))
	}
	return errors.Join(err, s.engine.Close(), s.trace.close())
}

// CloseInto closes the session, and stores its error in err unless an earlier one is there.
func (s *Session) CloseInto(err *error) {
	if e := s.close(); *err == nil {
		*err = e
	}
}

// Opening is what comes before the user's first turn.
func (s *Session) Opening() []engine.Message {
	if len(s.o.kept) > 0 {
		return slices.Clone(s.o.kept)
	}
	if s.o.System == "" {
		return nil
	}
	return []engine.Message{engine.System(s.o.System)}
}

// answer is the whole of an answer.
type answer struct {
	text   string
	result engine.Result
}

// errWrite marks an answer that could not be written. The answers after it would fail alike.
var errWrite = errors.New("writing the answer")

// ask sends a request, writes the answer's text to out as it comes, and returns the whole answer.
// With an error it returns the answer so far. The space that models begin an answer with is left
// out, unless the answer continues raw text.
func (s *Session) ask(ctx context.Context, request engine.Request, out io.Writer) (answer, error) {
	var a answer
	var text strings.Builder
	w := s.wait("reading the prompt")
	defer w.Done()
	keepBudget(request)
	note, write := s.trace.begin()
	defer write()
	request.Trace = note
	for event, err := range s.Model.Generate(ctx, request) {
		w.Done()
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

// keepBudget moves a request's budget of image tokens to its new pictures. There it stays: the
// pictures cost the same in later requests of the conversation, which may name no budget.
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

func (s *Session) report(images []string, question string, a answer) report {
	r := report{Model: s.Model.Info().Name, Images: images, Question: question, Text: a.text,
		Finish: string(a.result.Finish), Usage: a.result.Usage, Timings: a.result.Timings}
	if c := a.result.SchemaChecked; c != nil {
		r.Checked = &c.Valid
	}
	if s.o.Request.Sampling.Temperature > 0 {
		r.Seed = &a.result.Seed
	}
	return r
}

// wait shows progress while something takes long.
func (s *Session) wait(what string) *cli.Progress {
	return cli.StartProgress(s.Stderr, what, s.o.Quiet || s.o.JSON || s.barred)
}
