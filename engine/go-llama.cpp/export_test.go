package llama

// Tokens are the numbers of tokens of what was computed last and of what a file of it holds.
func Tokens(l *LLama, file string) (last, held int, err error) {
	c, err := l.model.LoadConversation(l.ctx, file)
	if err != nil {
		return 0, 0, err
	}
	return l.last.Len(), c.Len(), nil
}
