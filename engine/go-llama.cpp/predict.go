package llama

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// Predict returns what the model writes after text, which goes to it as it stands, without a
// template: instruction-tuned models want theirs around a question. The beginning-of-sequence token
// is added, and names of control tokens in the text become those tokens. One newline at the
// beginning of what the model writes is left out.
func (l *LLama) Predict(text string, opts ...PredictOption) (string, error) {
	po := NewPredictOptions(opts...)
	m, done, err := l.use()
	if err != nil {
		return "", err
	}
	defer done()
	out, err := l.predict(m, text, &po)
	return out, l.asked(err)
}

// Eval reads a text without writing more, so that predictions of texts that begin so are quicker.
func (l *LLama) Eval(text string, opts ...PredictOption) error {
	po := NewPredictOptions(opts...)
	m, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	r, err := l.request(m, text, &po)
	if err != nil {
		return l.asked(err)
	}
	c, err := l.read(m, r)
	if err == nil {
		l.remember(c)
	}
	return l.asked(err)
}

// request translates options.
func (l *LLama) request(m *engine.Model, text string, po *PredictOptions) (engine.Request, error) {
	r := engine.Request{Prompt: text, MaxTokens: max(0, po.Tokens), Grammar: po.Grammar,
		ContextShift: true, MostGuesses: max(0, po.NDraft)}
	if err := po.check(&l.options); err != nil {
		return r, err
	}
	var err error
	if r.Sampling, err = po.sampling(); err != nil {
		return r, err
	}
	if r.Keep = po.NKeep; po.NKeep == 0 {
		r.Keep = 1 // the beginning-of-sequence token stays
	}
	for _, stop := range po.StopPrompts {
		if stop != "" {
			r.Stop = append(r.Stop, stop)
		}
	}
	if po.NegativePromptScale > 1 {
		r.Guidance, r.NegativePrompt = po.NegativePromptScale, po.NegativePrompt
	}
	// A prompt of which a part was computed earlier can differ in the last bits of its logits, and
	// so the text for a seed.
	r.Fresh = po.Seed != -1 && po.PathPromptCache == ""
	if err := po.show(&r); err != nil {
		return r, err
	}
	if text == "" && len(r.Images) == 0 {
		begin, ok := m.Opening()
		if !ok {
			return r, errors.New("the text is empty, and the model begins none by itself")
		}
		r.Before = []engine.Token{begin}
	}
	return r, nil
}

// predict answers a text, by the prompt cache if there is one.
func (l *LLama) predict(m *engine.Model, text string, po *PredictOptions) (string, error) {
	r, err := l.request(m, text, po)
	if err != nil {
		return "", err
	}
	cache := promptCache{l: l, m: m, po: po}
	if err := cache.begin(&r, text); err != nil {
		return "", err
	}
	out, conversation, err := l.generate(m, r, po)
	if err != nil {
		return "", err
	}
	l.remember(conversation)
	return strings.TrimPrefix(out, "\n"), cache.end(conversation)
}

// read computes a prompt and writes nothing.
func (l *LLama) read(m *engine.Model, r engine.Request) (*engine.Conversation, error) {
	var c engine.Conversation
	r.MaxTokens, r.Conversation, r.Sampling, r.Grammar, r.Guidance, r.Fresh = 1, &c,
		engine.Sampling{}, "", 0, false
	for _, err := range m.Generate(l.ctx, r) {
		if err != nil {
			return nil, err
		}
	}
	return c.Prompt(), nil
}

// generate runs a request and returns what the model wrote.
func (l *LLama) generate(m *engine.Model, r engine.Request,
	po *PredictOptions) (string, *engine.Conversation, error) {
	var c engine.Conversation
	r.Conversation = &c
	listener, over := l.listen(po.TokenCallback)
	defer over()
	var text, pieces strings.Builder
	for e, err := range m.Generate(l.ctx, r) {
		if err != nil {
			return "", nil, err
		}
		for _, t := range e.Tokens {
			piece := string(m.Piece(t))
			if !listener.call(piece) {
				return pieces.String(), &c, nil // the engine still holds some of it back
			}
			pieces.WriteString(piece)
		}
		text.WriteString(e.Text)
		if e.Done != nil && po.DebugMode {
			tell(e.Done)
		}
	}
	return text.String(), &c, nil
}

// tell says on standard error what an answer took.
func tell(r *engine.Result) {
	t := r.Timings
	fmt.Fprintf(os.Stderr, "llama: prompt %d tokens, %d of them computed before, %d of pictures, in %v; answer %d tokens in %v; seed %d; ended by %s\n",
		r.Usage.Prompt, r.Usage.Cached, r.Usage.Image, t.Prefill, r.Usage.Completion, t.Generate,
		r.Seed, r.Finish)
	if s := r.Speculation; s.Guessed > 0 {
		fmt.Fprintf(os.Stderr, "llama: %d tokens guessed ahead, %d of them right\n", s.Guessed,
			s.Right)
	}
}
