package hf

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// tokenizerJSON is what tokenizer.json, the format of
// https://github.com/huggingface/tokenizers, says as far as it is used here.
type tokenizerJSON struct {
	AddedTokens   []addedToken      `json:"added_tokens"`
	Normalizer    *step             `json:"normalizer"`
	PreTokenizer  *step             `json:"pre_tokenizer"`
	PostProcessor *postProcessor    `json:"post_processor"`
	Model         tokenizerJSONBase `json:"model"`
}

type addedToken struct {
	ID      int    `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

type tokenizerJSONBase struct {
	Type         string         `json:"type"`
	Vocab        map[string]int `json:"vocab"`
	Merges       merges         `json:"merges"`
	ByteFallback bool           `json:"byte_fallback"`
}

// step is a normalizer or pre-tokenizer: a sequence of others, or one of many kinds.
type step struct {
	Type             string  `json:"type"`
	Normalizers      []*step `json:"normalizers"`
	PreTokenizers    []*step `json:"pretokenizers"`
	Pattern          pattern `json:"pattern"`
	Behavior         string  `json:"behavior"`
	Invert           bool    `json:"invert"`
	IndividualDigits bool    `json:"individual_digits"`
	AddPrefixSpace   bool    `json:"add_prefix_space"`
	UseRegex         *bool   `json:"use_regex"`
}

// pattern is an object with a regular expression or a text.
type pattern struct {
	Regex string `json:"Regex"`
}

// UnmarshalJSON takes whatever is no object for an empty pattern: other steps
// have other things under the same key.
func (p *pattern) UnmarshalJSON(data []byte) error {
	var v struct {
		Regex any `json:"Regex"`
	}
	if json.Unmarshal(data, &v) == nil {
		p.Regex, _ = v.Regex.(string)
	}
	return nil
}

// merges are BPE's rules in the form of llama.cpp: two parts with a space
// between. Files have them so, or as pairs.
type merges []string

// UnmarshalJSON reads both forms. A space inside a part is written as byte-level
// BPE writes the byte, with the letter 256 places on.
func (m *merges) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*[]string)(m)) == nil {
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return err
	}
	*m = make(merges, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("merge %d has %d parts", i, len(p))
		}
		(*m)[i] = strings.ReplaceAll(p[0], " ", "Ġ") + " " + strings.ReplaceAll(p[1], " ", "Ġ")
	}
	return nil
}

func parseTokenizerJSON(data []byte) (*tokenizerJSON, error) {
	t := new(tokenizerJSON)
	if err := unmarshal(data, t); err != nil {
		return nil, err
	}
	if len(t.Model.Vocab) > maxVocab || len(t.Model.Merges) > maxVocab ||
		len(t.AddedTokens) > maxVocab {
		return nil, fmt.Errorf("%w: more than %d tokens or merges", ErrLimit, maxVocab)
	}
	for i, m := range t.Model.Merges {
		if a, b, ok := strings.Cut(m, " "); !ok || a == "" || b == "" {
			return nil, fmt.Errorf("%w: merge %d is %s", ErrInvalid, i, brief(m))
		}
	}
	return t, nil
}

// byteToken matches the tokens of single bytes in a vocabulary with byte fallback.
var byteToken = regexp.MustCompile(`^<0x[0-9A-Fa-f]{2}>$`)

// fill fills the vocabulary, and returns the names of the tokenizer's model and
// of its way of splitting a text.
func (t *tokenizerJSON) fill(v *vocabulary) (model, pre string, err error) {
	if t.Model.Type != "" && t.Model.Type != "BPE" {
		return "", "", fmt.Errorf("%w: a tokenizer of type %s: %w", ErrUnsupported,
			brief(t.Model.Type), errNoTokenizer)
	}
	if len(t.Model.Vocab) == 0 {
		return "", "", fmt.Errorf("%w: it has no vocabulary", ErrInvalid)
	}
	if model, pre, err = t.kind(); err != nil {
		return "", "", err
	}
	owner := make(map[int]string, len(t.Model.Vocab))
	claim := func(id int, text string) error {
		if id < 0 || id >= len(v.tokens) {
			return fmt.Errorf("%w: token %s has the id %d, and the model's vocab_size is %d",
				ErrInvalid, brief(text), id, len(v.tokens))
		}
		if other, ok := owner[id]; ok && other != text {
			return fmt.Errorf("%w: tokens %s and %s share the id %d", ErrInvalid, brief(other),
				brief(text), id)
		}
		owner[id] = text
		return nil
	}
	for text, id := range t.Model.Vocab {
		if err := claim(id, text); err != nil {
			return "", "", err
		}
		typ := Normal
		if model == "llama" && byteToken.MatchString(text) {
			typ = Byte
		}
		v.set(id, text, 0, typ)
	}
	if model == "llama" {
		t.score(v)
	}
	for _, token := range t.AddedTokens {
		if err := claim(token.ID, token.Content); err != nil {
			return "", "", err
		}
		v.add(token.ID, token.Content, token.Special)
	}
	return model, pre, nil
}

// score gives tokens the order in which they are merged. llama.cpp merges by
// score and knows no list of merges for this kind of tokenizer; the list was
// made of a SentencePiece model, whose scores are the order, negative.
func (t *tokenizerJSON) score(v *vocabulary) {
	for rank, m := range t.Model.Merges {
		a, b, _ := strings.Cut(m, " ")
		if id, ok := t.Model.Vocab[a+b]; ok && v.scores[id] == 0 {
			v.scores[id] = -float32(rank + 1)
		}
	}
	// Tokens that no merge makes are letters, which need no order, and bytes.
	last := -float32(len(t.Model.Merges) + 1)
	for id, typ := range v.types {
		if typ == Normal && v.scores[id] == 0 {
			v.scores[id] = last
		}
	}
}

// The regular expressions by which tokenizers split text, in the files' words.
const (
	splitLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	splitTekken = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|` +
		`\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	splitQwen2 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// splits maps the steps of pre-tokenizers to llama.cpp's names for them
// (llama-vocab.cpp). Its converter finds the name by the hash of the ids that the
// tokenizer gives a long text; what decides is how the text is split, which the
// file says.
var splits = map[string]string{
	"split " + splitLlama3 + ", bytes": "llama-bpe",
	"split " + splitQwen2 + ", bytes":  "qwen2",
	"split " + splitTekken + ", bytes": "tekken",
	"digits, gpt-2 bytes":              "smollm",
	"gpt-2 bytes":                      "gpt-2",
}

// kind tells the two kinds of tokenizers apart.
func (t *tokenizerJSON) kind() (model, pre string, err error) {
	steps := t.PreTokenizer.flatten(nil)
	byteLevel := false
	for _, s := range steps {
		byteLevel = byteLevel || s.Type == "ByteLevel"
	}
	if !byteLevel {
		if t.Model.ByteFallback {
			return "llama", "default", nil
		}
		return "", "", fmt.Errorf("%w: %w", ErrUnsupported, errNoTokenizer)
	}
	var words []string
	for _, s := range steps {
		words = append(words, s.describe())
	}
	described := strings.Join(words, ", ")
	if pre, ok := splits[described]; ok {
		return "gpt2", pre, nil
	}
	return "", "", fmt.Errorf("%w: text is split by %s; known are the ways of Llama 3, Qwen 2, Mistral's Tekken, SmolLM and GPT-2", ErrUnsupported, brief(described))
}

// flatten appends the steps of a sequence.
func (s *step) flatten(list []*step) []*step {
	if s == nil {
		return list
	}
	if s.Type != "Sequence" {
		return append(list, s)
	}
	for _, inner := range append(s.PreTokenizers, s.Normalizers...) {
		list = inner.flatten(list)
	}
	return list
}

// describe is a step of a pre-tokenizer in the words of splits.
func (s *step) describe() string {
	switch {
	case s.Type == "Split" && s.Behavior == "Isolated" && !s.Invert && s.Pattern.Regex != "":
		return "split " + s.Pattern.Regex
	case s.Type == "Digits" && s.IndividualDigits:
		return "digits"
	case s.Type == "ByteLevel" && !s.AddPrefixSpace && s.UseRegex != nil && !*s.UseRegex:
		return "bytes"
	case s.Type == "ByteLevel" && !s.AddPrefixSpace:
		return "gpt-2 bytes"
	}
	return "another " + s.Type
}
