package engine

import "context"

// Count makes a request's prompt ready as Generate does, and returns how long it is without
// computing anything: Usage.Prompt and Usage.Image are set. A prompt may be longer than the
// context, which is what many count for. Other errors are those of Generate.
func (m *Model) Count(ctx context.Context, r Request) (Usage, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (u Usage, err error) {
		if err := r.check(); err != nil {
			return u, err
		}
		p, err := m.compose(ctx, &r)
		switch {
		case err != nil:
			return u, err
		case p.n == 0:
			return u, errEmptyPrompt
		}
		return Usage{Prompt: p.n, Image: p.images}, nil
	})
}

// tokens are the tokens of a prompt, pictures left out.
func (p *prompt) tokens() []Token {
	tokens := []Token{}
	for _, s := range p.stretches {
		tokens = append(tokens, s.Tokens...)
	}
	return tokens
}
