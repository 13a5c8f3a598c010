package engine

import "context"

// Count makes a request's prompt ready as Generate does, and returns how long it is without
// computing anything: Usage.Prompt and Usage.Image are set. A prompt may be longer than the
// context, which is what many count for. Other errors are those of Generate.
func (m *Model) Count(ctx context.Context, r Request) (Usage, error) {
	if !m.enter() {
		return Usage{}, ErrClosed
	}
	defer m.requests.Done()
	ctx, cancel := m.untilClosed(ctx)
	defer cancel()
	if err := r.check(); err != nil {
		return Usage{}, err
	}
	p, err := m.compose(ctx, &r)
	if err == nil && p.n == 0 {
		err = errEmptyPrompt
	}
	if err != nil {
		return Usage{}, m.requestError(ctx, err)
	}
	return Usage{Prompt: p.n, Image: p.images}, nil
}

// tokens are the tokens of a prompt, pictures left out.
func (p *prompt) tokens() []Token {
	tokens := []Token{}
	for _, s := range p.stretches {
		tokens = append(tokens, s.Tokens...)
	}
	return tokens
}
