package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
)

// ours is package engine with one model, in this process.
type ours struct {
	o      options
	engine *engine.Engine
	model  *engine.Model
	bias   map[engine.Token]float32
	state  string // folder of saved conversations
	guest  bool   // in the engine of another, which stays open
}

func openOurs(ctx context.Context, o options, words []llama.Token) (*ours, error) {
	e, err := engine.New(engine.Options{Threads: o.threads})
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp("", "compare-server-*")
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	u := &ours{o: o, engine: e, bias: map[engine.Token]float32{}, state: state}
	for _, t := range words {
		u.bias[t] = wordBias
	}
	if u.model, err = e.Load(ctx, u.spec(engine.EncoderAuto)); err != nil {
		return nil, errors.Join(err, u.close())
	}
	return u, nil
}

// spec is how the engine loads the model; what bears on how many requests it serves at once belongs
// here.
func (u *ours) spec(encoder string) engine.ModelSpec {
	return engine.ModelSpec{
		Model: u.o.model, Projector: u.o.projector, Context: u.o.context,
		Device: cmp.Or(u.o.device, engine.NoDevice), ChatTemplate: template, Encoder: encoder,
		Parallel: u.o.slots, StateDir: u.state,
	}
}

func (u *ours) withEncoder(ctx context.Context, encoder string) (ourSide, error) {
	other := *u
	other.guest = true
	var err error
	other.model, err = u.engine.Load(ctx, u.spec(encoder))
	return &other, err
}

func (u *ours) about() (program, model string) {
	info := u.model.Info()
	return fmt.Sprintf("package engine, encoder %s %s", info.Encoder, info.Precision),
		info.Description
}

func (u *ours) name() string { return "eyelet" }

func (u *ours) close() error {
	if u.guest {
		return u.model.Close()
	}
	return errors.Join(u.engine.Close(), os.RemoveAll(u.state))
}

// restart closes the model, which saves what its cache holds, and opens it again.
func (u *ours) restart(ctx context.Context) (err error) {
	encoder := u.model.Info().Encoder
	if err := u.model.Close(); err != nil {
		return err
	}
	u.model, err = u.engine.Load(ctx, u.spec(encoder))
	return err
}

func (u *ours) ask(ctx context.Context, q question, seen func()) (reply, error) {
	request := engine.Request{MaxTokens: q.tokens, Sampling: engine.Sampling{LogitBias: u.bias}}
	if q.system != "" {
		request.Messages = append(request.Messages, engine.System(q.system))
	}
	for i, t := range q.turns {
		content := []engine.Content{engine.Text(t.text)}
		if t.picture != nil {
			image := &engine.Image{Name: "picture.jpg", Data: t.picture}
			content = []engine.Content{engine.Picture(image), engine.Text(t.text)}
		}
		request.Messages = append(request.Messages, engine.User(content...))
		if i < len(q.turns)-1 {
			request.Messages = append(request.Messages, engine.Assistant(t.answer))
		}
	}
	r := reply{began: time.Now()}
	var text strings.Builder
	for event, err := range u.model.Generate(ctx, request) {
		if err != nil {
			r.text = text.String()
			return r, err
		}
		text.WriteString(event.Text)
		for range event.Tokens {
			r.at = append(r.at, time.Now())
			if seen != nil {
				seen()
			}
		}
		if event.Done != nil {
			usage := event.Done.Usage
			r.prompt, r.cached, r.tokens = usage.Prompt, usage.Cached, usage.Completion
		}
	}
	r.text = text.String()
	return r, r.check(q)
}
