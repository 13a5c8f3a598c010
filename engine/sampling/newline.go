package sampling

import "github.com/eyelet-engine/eyelet/cgo/llama"

// newlines keep penalties from counting for the newline, as Options.SpareNewline asks: libllama's
// penalties know no exception, so its logit is raised beforehand by what they will take away.
type newlines struct {
	token                       llama.Token
	repeat, frequency, presence float32
	bias                        float32
	recent                      []llama.Token // what penalties look back on
	most                        int
}

// newNewlines returns nil where there is nothing to do.
func newNewlines(host *Host, o *Options, prompt []llama.Token) *newlines {
	n := &newlines{
		token: host.vocab().NL(), repeat: o.RepeatPenalty, frequency: o.FrequencyPenalty,
		presence: o.PresencePenalty,
		most:     host.lookBack(o),
	}
	if n.repeat == 0 {
		n.repeat = 1
	}
	if !o.SpareNewline || n.token == llama.NoToken || n.repeat == 1 && n.frequency == 0 &&
		n.presence == 0 {
		return nil
	}
	n.bias = o.LogitBias[n.token]
	for _, t := range prompt[max(0, len(prompt)-n.most):] {
		n.drawn(t)
	}
	return n
}

// drawn notes a token.
func (n *newlines) drawn(t llama.Token) {
	if len(n.recent) == n.most {
		n.recent = append(n.recent[:0], n.recent[1:]...)
	}
	n.recent = append(n.recent, t)
}

// spare raises the logit, and returns what puts it back.
func (n *newlines) spare(logits []float32) (restore func()) {
	count := 0
	for _, t := range n.recent {
		if t == n.token {
			count++
		}
	}
	old := logits[n.token]
	if count > 0 {
		logits[n.token] = n.before(old+n.bias, count) - n.bias
	}
	return func() { logits[n.token] = old }
}

// before is the logit that penalties for count appearances turn into x.
func (n *newlines) before(x float32, count int) float32 {
	x += float32(count)*n.frequency + n.presence
	if x > 0 {
		return x * n.repeat
	}
	return x / n.repeat
}
