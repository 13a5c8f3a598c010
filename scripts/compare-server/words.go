package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// mostWords bounds the bias list, which llama-server takes with every request.
const mostWords = 500

// wordBias is added to the logits of words: more than any two logits of a language model lie apart.
const wordBias = 100

// words chooses the tokens that answers are made of: whole words of ASCII letters with a space
// before them, which come back as the same token when their text is tokenized again. Without them,
// models with random weights would end their answers at once, or write tokens that have no text,
// which llama-server does not report.
func words(ctx context.Context, model string) ([]llama.Token, error) {
	if err := llama.Init(); err != nil {
		return nil, err
	}
	lm, err := llama.LoadModel(ctx, model, llama.ModelParams{VocabOnly: true})
	if err != nil {
		return nil, err
	}
	defer lm.Close()
	vocab := lm.Vocab()
	var list []llama.Token
	for t := range llama.Token(vocab.N()) {
		if len(list) == mostWords {
			break
		}
		text := string(vocab.Piece(t, false))
		if !isWord(text) || vocab.IsEOG(t) {
			continue
		}
		again, err := vocab.Tokenize("x"+text+text, false, false)
		if err != nil {
			return nil, err
		}
		if n := len(again); n > 2 && again[n-1] == t && again[n-2] == t {
			list = append(list, t)
		}
	}
	if len(list) < 2 {
		return nil, fmt.Errorf("%s: the vocabulary has %d whole words", model, len(list))
	}
	return list, nil
}

func isWord(text string) bool {
	word, ok := strings.CutPrefix(text, " ")
	return ok && len(word) > 1 && strings.IndexFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}
