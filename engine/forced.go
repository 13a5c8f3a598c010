package engine

import (
	"bytes"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/grammar"
)

// bytesAhead is how much text that a grammar forces is looked at in one turn.
const bytesAhead = 96

// foresee prepares for what the answer's grammar leaves no choice about. Whether that is computed
// ahead or not, the answer is computed to the same text.
func (a *answer) foresee(task *sched.Task) {
	task.Uniform = a.grammar != ""
	if task.Uniform && !task.NoSpeculation {
		a.walk = grammar.NewWalk(a.grammar)
	}
}

// Ahead implements [sched.Answer]: the text that the answer's grammar forces, as the model's
// tokenizer cuts it. Nothing says that the model would cut it so, which is why these are guesses,
// and the answer is the same with them and without.
func (a *answer) Ahead(most int) []llama.Token {
	if a.walk == nil {
		return nil
	}
	text := a.walk.Ahead(bytesAhead)
	if text == "" {
		return nil
	}
	tokens := tokensWithin(a.model.lm.Vocab(), text)
	return tokens[:min(most, len(tokens))]
}

// tokensWithin returns the tokens of a text that stands within another; nil if the tokenizer cannot
// be brought to leave it as it is. Some put a blank before a text, which a line break takes upon
// itself.
func tokensWithin(v *llama.Vocab, text string) []llama.Token {
	for _, before := range []string{"", "\n"} {
		tokens, err := v.Tokenize(before+text, false, false)
		if err != nil {
			return nil
		}
		for inside := before == ""; !inside && len(tokens) > 0; tokens = tokens[1:] {
			inside = bytes.HasSuffix(v.Piece(tokens[0], false), []byte(before))
		}
		var whole []byte
		for _, t := range tokens {
			whole = v.AppendPiece(whole, t, false)
		}
		if string(whole) == text {
			return tokens
		}
	}
	return nil
}
