package engine

import (
	"bytes"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/grammar"
)

// bytesAhead is how much text that a grammar forces is looked at in one turn.
const bytesAhead = 96

// foresee prepares the task for text that the answer's grammar forces. The answer is the same
// whether such text is computed ahead or not.
func (a *answer) foresee(task *sched.Task) {
	task.Uniform = a.grammar != ""
	if task.Uniform && !task.NoSpeculation {
		a.walk = grammar.NewWalk(a.grammar)
	}
}

// Ahead implements [sched.Answer]. It returns the text that the answer's grammar forces, in tokens
// as the model's tokenizer cuts it. The model may cut it otherwise, so these are guesses: the
// answer is the same with them and without.
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

// tokensWithin returns the tokens of a text that stands within another. Some tokenizers put a blank
// before a text; a line break before it, which is cut off again, keeps the blank away. The result
// is nil where the tokenizer changes the text even so.
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
