package engine

import (
	"context"
	"fmt"

	"github.com/eyelet-engine/eyelet/engine/kv/disk"
	"github.com/eyelet-engine/eyelet/engine/prompt"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// Rendered is a request's prompt before it is computed.
type Rendered = prompt.Rendered

// Fitting says what of a request may be left out to make it fit its context.
type Fitting = prompt.Fitting

// prompt is what of a request decides its prompt.
func (r *Request) prompt() *prompt.Request {
	return &prompt.Request{Messages: r.Messages, Template: r.Template, Text: r.Prompt,
		Prefill: r.Prefill, Images: r.Images, ImageTokens: r.ImageTokens, Before: r.Before,
		Tools: r.Tools, ToolChoice: r.ToolChoice, ToolName: r.ToolName, Thinking: r.Thinking}
}

// check finds contradictions in a request before any work is done.
func (r *Request) check() error {
	switch {
	case r.Prefill != "" && (r.Grammar != "" || len(r.Schema) > 0):
		return fmt.Errorf("%w: the answer has begun already, and cannot be held to a format",
			ErrRequest)
	case r.Grammar != "" && len(r.Schema) > 0:
		return fmt.Errorf("%w: both Grammar and Schema are set", ErrRequest)
	case r.Session != "" && disk.CheckName(r.Session) != nil:
		return fmt.Errorf("%w: the session's name: %w", ErrRequest, disk.CheckName(r.Session))
	case r.MaxTokens < 0:
		return fmt.Errorf("%w: MaxTokens is %d", ErrRequest, r.MaxTokens)
	case r.Threads < 0:
		return fmt.Errorf("%w: Threads is %d", ErrRequest, r.Threads)
	case r.Context < 0:
		return fmt.Errorf("%w: Context is %d", ErrRequest, r.Context)
	case r.TopLogprobs < 0 || r.TopLogprobs > 1000:
		return fmt.Errorf("%w: TopLogprobs is %d; give 0 to 1000", ErrRequest, r.TopLogprobs)
	}
	for _, s := range r.Stop {
		if s == "" {
			return fmt.Errorf("%w: an empty stop text", ErrRequest)
		}
	}
	return r.prompt().Check()
}

// limit is the most tokens of a request's prompt and answer together.
func (m *Model) limit(r *Request) int {
	if r.Context > 0 {
		return min(r.Context, m.cells)
	}
	return m.cells
}

// composer makes the model's prompts.
func (m *Model) composer() *prompt.Composer {
	return &prompt.Composer{Dialogue: m.dialogue, Planner: m.planner()}
}

// prompt makes a request ready, and checks that it fits.
func (m *Model) prompt(ctx context.Context, r *Request) (*prompt.Prompt, error) {
	p, err := m.composer().Compose(ctx, r.prompt())
	if err != nil {
		return nil, err
	}
	return p, p.CheckLength(m.limit(r), m.lm.NCtxTrain())
}

// task makes a prompt ready for the scheduler.
func (m *Model) task(p *prompt.Prompt, r *Request) *sched.Task {
	t := &sched.Task{
		MaxTokens: r.MaxTokens, Cells: m.limit(r), Fresh: r.Fresh,
		Shift: r.ContextShift && m.shifts, Keep: r.Keep, NoSpeculation: r.NoSpeculation,
		MostGuesses: r.MostGuesses, Threads: r.Threads,
		Client: r.Client, Priority: r.Priority, Trace: r.Trace,
	}
	if r.Keep < 0 || r.Keep > p.N {
		t.Keep = p.N
	}
	t.Prompt, t.Pictures = p.Items(m.pictures)
	return t
}

// Render writes out the prompt of a request as Generate would compute it. Pictures are not looked
// at. Errors are those of Generate, but for the length.
func (m *Model) Render(ctx context.Context, r Request) (*Rendered, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (*Rendered, error) {
		if err := r.check(); err != nil {
			return nil, err
		}
		return m.composer().Render(ctx, r.prompt())
	})
}

// Count makes a request's prompt ready as Generate does, and returns how long it is without
// computing anything: Usage.Prompt and Usage.Image are set. A prompt may be longer than the
// context, which is what many count for. Other errors are those of Generate.
func (m *Model) Count(ctx context.Context, r Request) (Usage, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (u Usage, err error) {
		if err := r.check(); err != nil {
			return u, err
		}
		p, err := m.composer().Compose(ctx, r.prompt())
		if err != nil {
			return u, err
		}
		return Usage{Prompt: p.N, Image: p.Images}, p.CheckEmpty()
	})
}

// Fit returns a request without as few of the oldest turns of its conversation as make it fit the
// context. A turn is what a user says and all that follows until a user speaks again; the pictures
// in it go with it. The system's messages stay, and so does the last question; of the calls of
// tools that follow the last question, the oldest go together with their results, but never the
// last ones. What else may go f says. If nothing makes the request fit, the error wraps
// ErrContextLength; other errors are those of Generate.
func (m *Model) Fit(ctx context.Context, r Request, f Fitting) (Request, error) {
	fitted, err := whileOpen(ctx, m, func(ctx context.Context) (prompt.Request, error) {
		if err := r.check(); err != nil {
			return prompt.Request{}, err
		}
		return m.composer().Fit(ctx, *r.prompt(), f, m.limit(&r))
	})
	if err == nil {
		r.Messages, r.Prompt, r.Before = fitted.Messages, fitted.Text, fitted.Before
	}
	return r, err
}
