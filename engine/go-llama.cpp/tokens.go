package llama

// TokenizeString returns the tokens of a text and how many there are. The tokens that the model
// wants around a text are among them. No option changes that.
func (l *LLama) TokenizeString(text string, _ ...PredictOption) (int32, []int32, error) {
	m, done, err := l.use()
	if err != nil {
		return 0, nil, err
	}
	defer done()
	tokens, err := m.Tokenize(text, true, true)
	if err != nil {
		return 0, nil, l.asked(err)
	}
	out := make([]int32, len(tokens))
	for i, t := range tokens {
		out[i] = int32(t)
	}
	return int32(len(out)), out, nil
}
