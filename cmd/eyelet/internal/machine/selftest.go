package machine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

// SelfTest is the outcome of putting the built-in model's demonstration to the built-in model.
type SelfTest struct {
	Model   string       `json:"model"` // path of the extracted file
	Seconds float64      `json:"seconds"`
	Answers []TestAnswer `json:"answers"`

	// what the accelerator computed of it; nil if there is none
	Accelerated *cli.Accelerated `json:"accelerated,omitempty"`
}

// TestAnswer is one question of the self-test.
type TestAnswer struct {
	Picture  string `json:"picture"`
	Question string `json:"question"`
	Want     string `json:"want"`
	Got      string `json:"got"`
}

// checkAnswers runs the self-test, as a user's request runs: from the extracted files, through the
// engine.
func (d *Diagnosis) checkAnswers(ctx context.Context) {
	start := time.Now()
	test, err := selfTest(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.add(Check{Name: "self-test", Status: "failed", Detail: cli.Describe(err),
				Remedy: "run eyelet doctor --verbose and report what it logs"})
		}
		return
	}
	test.Seconds, test.Accelerated = time.Since(start).Seconds(), cli.AcceleratorCounters()
	d.SelfTest = test
	right := 0
	for _, a := range test.Answers {
		if a.Got == a.Want {
			right++
			continue
		}
		d.add(Check{
			Name:   "self-test",
			Status: "failed",
			Detail: fmt.Sprintf("%s, %q: the answer is %q, not %q", a.Picture, a.Question, a.Got,
				a.Want),
			Remedy: "the arithmetic is wrong on this machine: set EYELET_ACCEL=off, or EYELET_BACKENDS to a folder with another CPU library, and report this",
		})
	}
	if right == len(test.Answers) {
		detail := fmt.Sprintf("the built-in model answered %d questions rightly in %.1f s", right,
			test.Seconds)
		if a := test.Accelerated; a != nil {
			detail += fmt.Sprintf("; accelerator: %v", a)
		}
		d.add(Check{Name: "self-test", Status: "ok", Detail: detail})
	}
}

// selfTest asks the built-in model every question about its demonstration pictures.
func selfTest(ctx context.Context) (*SelfTest, error) {
	model, projector, err := builtin.Extract("")
	if err != nil {
		return nil, err
	}
	e, err := engine.New(engine.Options{})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	m, err := e.Load(ctx, engine.ModelSpec{Model: model, Projector: projector})
	if err != nil {
		return nil, err
	}
	test := &SelfTest{Model: model, Answers: []TestAnswer{}}
	for _, demo := range builtin.Demos() {
		image := &engine.Image{Name: demo.Name, Data: demo.PNG}
		var messages []engine.Message
		for i, turn := range demo.Turns {
			content := []engine.Content{engine.Text(turn.Question)}
			if i == 0 {
				content = append([]engine.Content{engine.Picture(image)}, content...)
			}
			messages = append(messages, engine.User(content...))
			got, err := askText(ctx, m, messages)
			if err != nil {
				return nil, fmt.Errorf("%s, %q: %w", demo.Name, turn.Question, err)
			}
			test.Answers = append(test.Answers, TestAnswer{demo.Name, turn.Question, turn.Answer,
				got})
			messages = append(messages, engine.Assistant(got))
		}
	}
	return test, nil
}

// askText returns the model's most probable answer to a conversation, without the space around it.
func askText(ctx context.Context, m *engine.Model, messages []engine.Message) (string, error) {
	var text string
	for event, err := range m.Generate(ctx, engine.Request{Messages: messages, MaxTokens: 64}) {
		if err != nil {
			return "", err
		}
		text += event.Text
	}
	return strings.TrimSpace(text), nil
}
