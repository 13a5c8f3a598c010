package gguf

import (
	"fmt"
	"testing"
)

// BenchmarkParseVocabulary reads metadata of the size that a model with a
// vocabulary of 128 000 tokens has: tokens, scores and token types.
func BenchmarkParseVocabulary(b *testing.B) {
	const n = 128_000
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("token%d", i)
	}
	w := NewWriter("bench")
	w.Set("tokenizer.ggml.tokens", tokens)
	w.Set("tokenizer.ggml.scores", make([]float32, n))
	w.Set("tokenizer.ggml.token_type", make([]int32, n))
	data, err := w.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data, "bench"); err != nil {
			b.Fatal(err)
		}
	}
}
