package hf

import (
	"slices"
	"strings"
)

// gemma4 gives the tokens of Gemma 4 the types and scores of llama.cpp's converter (Gemma4Model of
// conversion/gemma.py, LlamaHfVocab of gguf-py/gguf/vocab.py): control tokens are those that
// tokenizer_config.json names, and marks of thoughts and calls are shown as text.
func (v *vocabulary) gemma4(parsed *tokenizerJSON, config object) {
	shown := []string{"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>",
		"<|tool_response>", "<tool_response|>", `<|"|>`}
	special := config.specialTokens()
	for id, text := range v.tokens {
		if v.types[id] == Unused {
			continue
		}
		v.scores[id] = addedScore
		_, base := parsed.Model.Vocab[text]
		switch {
		case byteToken.MatchString(text):
			v.types[id] = Byte
		case slices.Contains(shown, text):
			v.types[id] = UserDefined
		case special[text]:
			v.types[id] = Control
		case base:
			v.types[id] = Normal
		default:
			v.types[id] = UserDefined
		}
	}
}

// specialTokens are the texts of all tokens that tokenizer_config.json names.
func (o object) specialTokens() map[string]bool {
	found := map[string]bool{}
	add := func(v any) {
		if m, ok := v.(map[string]any); ok {
			v = m["content"]
		}
		if s, ok := v.(string); ok {
			found[s] = true
		}
	}
	for key, value := range o.values {
		if strings.HasSuffix(key, "_token") {
			add(value)
		}
	}
	for _, key := range []string{"additional_special_tokens", "extra_special_tokens",
		"model_specific_special_tokens"} {
		switch list := o.values[key].(type) {
		case []any:
			for _, value := range list {
				add(value)
			}
		case map[string]any:
			for _, value := range list {
				add(value)
			}
		}
	}
	return found
}

// glm4 sets the special tokens of GLM-4V that the folder's files do not name, as llama.cpp's
// converter does (Glm4Model of conversion/glm.py).
func (t *Tokenizer) glm4(config object) {
	if t.Pre == "llama-bpe" { // whose way of splitting text is GLM's too
		t.Pre = "glm4"
	}
	for kind, text := range map[string]string{"bos": "<|endoftext|>", "eos": "<|endoftext|>",
		"unk": "<|endoftext|>", "eot": "<|user|>"} {
		if _, named := t.Special[kind]; named {
			continue
		}
		id := slices.Index(t.Tokens, text)
		if id < 0 {
			config.fail(kind, "%w: the vocabulary has no token %s", ErrInvalid, text)
			return
		}
		t.Special[kind] = id
	}
}
