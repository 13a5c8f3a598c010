package llama

import "errors"

// SpeculativeSampling is Predict with a smaller model of the same vocabulary that guesses tokens
// ahead: l computes several guesses at once, in the time of little more than one, and keeps those
// that it would have drawn itself. The text is the same as without; where guesses do not pay, fewer
// are made. The draft model may be freed at any time.
func (l *LLama) SpeculativeSampling(draft *LLama, text string,
	opts ...PredictOption) (string, error) {
	po := NewPredictOptions(opts...)
	m, done, err := l.use()
	if err != nil {
		return "", err
	}
	defer done()
	d, drafted, err := draft.use()
	if err != nil {
		return "", errors.Join(errors.New("llama: the draft model"), err)
	}
	err = m.DraftWith(l.ctx, d)
	drafted()
	if err != nil {
		return "", l.asked(err)
	}
	out, err := l.predict(m, text, &po)
	return out, l.asked(err)
}
