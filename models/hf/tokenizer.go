package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// TokenType says what a token is, numbered as llama.cpp's tokenizer.ggml.token_type.
type TokenType int32

// The token types of llama.h, which are SentencePiece's.
const (
	Normal      TokenType = 1
	Unknown     TokenType = 2
	Control     TokenType = 3
	UserDefined TokenType = 4
	Unused      TokenType = 5
	Byte        TokenType = 6
)

// Tokenizer is a model's tokenizer in llama.cpp's terms.
type Tokenizer struct {
	Model  string // "llama" (SentencePiece) or "gpt2" (byte-level BPE)
	Pre    string // how text is split before BPE, as llama.cpp calls it
	Tokens []string
	Types  []TokenType
	Scores []float32 // of "llama": the highest merges first
	Merges []string  // of "gpt2": the first merges first, two parts with a space between
	// Special holds ids by kind: "bos", "eos", "unk", "sep", "pad", "cls", "mask".
	Special map[string]int
	// Add says whether a text begins or ends with such a token: "bos", "eos", "sep".
	Add         map[string]bool
	SpacePrefix *bool // whether a text is given a space in front; nil if the folder does not say
	NFC         bool  // whether text is normalised to form C
	// Template is the chat template; Templates holds further ones by name.
	Template  string
	Templates map[string]string
}

// specialKinds are the special tokens that a model can name.
var specialKinds = []string{"bos", "eos", "unk", "sep", "pad", "cls", "mask"}

const (
	sentencePieceFile = "tokenizer.model"
	tokenizerFile     = "tokenizer.json"
	tokenizerConfig   = "tokenizer_config.json"
	addedTokensFile   = "added_tokens.json"
)

// ReadTokenizer reads the tokenizer of a folder: tokenizer.model where there is
// one, else tokenizer.json, and what the files beside it add. It has c.Text.Vocab
// tokens, as the embedding has rows: ids that no file names are unused tokens.
func ReadTokenizer(dir string, c *Config) (*Tokenizer, error) {
	files, err := readTokenizerFiles(dir)
	if err != nil {
		return nil, err
	}
	return files.tokenizer(c)
}

// tokenizerFiles are the contents of a folder's files; nil for one that is missing.
type tokenizerFiles struct {
	dir           string
	sentencePiece []byte
	json          []byte
	config        []byte
	added         []byte
	templateJinja []byte
	templateJSON  []byte
}

func readTokenizerFiles(dir string) (*tokenizerFiles, error) {
	f := &tokenizerFiles{dir: dir}
	for _, file := range []struct {
		name  string
		limit int64
		dst   *[]byte
	}{
		{sentencePieceFile, maxTokenizer, &f.sentencePiece}, {tokenizerFile, maxTokenizer, &f.json},
		{tokenizerConfig, maxTokenizer, &f.config},
		{addedTokensFile, maxTokenizer, &f.added}, {"chat_template.jinja", maxConfig,
			&f.templateJinja}, {"chat_template.json", maxConfig, &f.templateJSON},
	} {
		var err error
		if *file.dst, err = optional(dir, file.name, file.limit); err != nil {
			return nil, err
		}
	}
	if f.sentencePiece == nil && f.json == nil {
		return nil, fmt.Errorf("hf: %s has neither %s nor %s: %w", dir, sentencePieceFile,
			tokenizerFile, fs.ErrNotExist)
	}
	return f, nil
}

func (f *tokenizerFiles) path(name string) string { return filepath.Join(f.dir, name) }

// tokenizer puts the files together.
func (f *tokenizerFiles) tokenizer(c *Config) (*Tokenizer, error) {
	config, err := parseObject(f.path(tokenizerConfig), f.config)
	if err != nil {
		return nil, err
	}
	var parsed *tokenizerJSON
	if f.json != nil {
		if parsed, err = parseTokenizerJSON(f.json); err != nil {
			return nil, fmt.Errorf("hf: %s: %w", f.path(tokenizerFile), err)
		}
	}
	v := newVocabulary(c.Text.Vocab)
	t := &Tokenizer{Model: "llama", Pre: "default"}
	gemma4 := c.Text.ModelType == "gemma4" // which llama.cpp merges by a list, unlike others
	switch {
	case parsed == nil && gemma4:
		return nil, fmt.Errorf("hf: %s has no %s: %w", f.dir, tokenizerFile, fs.ErrNotExist)
	case f.sentencePiece != nil && !gemma4:
		err = f.addSentencePiece(v, config)
	default:
		if t.Model, t.Pre, err = parsed.fill(v); err != nil {
			err = fmt.Errorf("hf: %s: %w", f.path(tokenizerFile), err)
		}
	}
	if err != nil {
		return nil, err
	}
	if gemma4 {
		t.Model, t.Pre = "gemma4", ""
		v.gemma4(parsed, config)
	}
	if t.Model != "llama" {
		t.Merges = parsed.Model.Merges
	}
	t.Tokens, t.Types = v.tokens, v.types
	if t.Model != "gpt2" {
		t.Scores = v.scores
	}
	llama := c.Text.ModelType == "llama" || c.Text.ModelType == "mistral"
	switch {
	case llama && config.has("add_prefix_space"):
		prefix := config.boolean("add_prefix_space", false)
		t.SpacePrefix = &prefix
	case strings.HasPrefix(c.Text.ModelType, "gemma"):
		t.SpacePrefix = new(bool)
	}
	if err := f.addSpecial(t, parsed, config, c); err != nil {
		return nil, err
	}
	switch c.Text.ModelType {
	case "glm4v":
		t.glm4(config)
	case "gemma4":
		t.Add["bos"] = true
	}
	if *config.err != nil {
		return nil, *config.err
	}
	// SmolLM's tokenizer says nothing of a first token, and llama.cpp's default for its kind was
	// another; its converter tells the model by the size of its vocabulary.
	if llama && c.Text.Vocab == 49152 {
		t.Add["bos"] = false
	}
	return t, nil
}

// addSentencePiece fills the vocabulary from tokenizer.model, and adds the
// tokens that were given to the model after its training.
func (f *tokenizerFiles) addSentencePiece(v *vocabulary, config object) error {
	pieces, err := parseSentencePiece(f.sentencePiece)
	if err != nil {
		return fmt.Errorf("hf: %s: %w", f.path(sentencePieceFile), err)
	}
	if len(pieces) > len(v.tokens) {
		return fmt.Errorf("hf: %s: %w: it has %d tokens, and the model's vocab_size is %d",
			f.path(sentencePieceFile), ErrInvalid, len(pieces), len(v.tokens))
	}
	for id, p := range pieces {
		v.set(id, p.text, p.score, p.typ)
	}
	added, err := parseObject(f.path(addedTokensFile), f.added)
	if err != nil {
		return err
	}
	// In order of the keys, so that a folder always gives the same tokenizer. Some models name
	// tokens beyond their vocabulary, which they have no embedding for: those cannot be used, and
	// are left out.
	for _, text := range slices.Sorted(maps.Keys(added.values)) {
		id, ok := wholeNumber(added.values[text])
		if !ok || id < 0 {
			return fmt.Errorf("hf: %s: %w: token %s has the id %s", f.path(addedTokensFile),
				ErrInvalid, brief(text), brief(added.values[text]))
		}
		if id < len(v.tokens) {
			v.set(id, text, addedScore, UserDefined)
		}
	}
	decoder := config.object("added_tokens_decoder")
	for _, key := range slices.Sorted(maps.Keys(decoder.values)) {
		token := decoder.object(key)
		text, special := token.str("content", ""), token.boolean("special", false)
		id, err := strconv.Atoi(key)
		if err != nil || id < 0 {
			return fmt.Errorf("hf: %s: added_tokens_decoder: %w: the id %s",
				f.path(tokenizerConfig), ErrInvalid, brief(key))
		}
		if id < len(v.tokens) {
			v.add(id, text, special)
		}
	}
	return *config.err
}

// vocabulary collects tokens by id.
type vocabulary struct {
	tokens []string
	scores []float32
	types  []TokenType
}

const (
	padScore   = -10000 // of ids that no file names
	addedScore = -1000  // of tokens that were given to a model after its training
)

// newVocabulary makes n unused tokens, which llama.cpp's converter names as here.
func newVocabulary(n int) *vocabulary {
	v := &vocabulary{make([]string, n), make([]float32, n), make([]TokenType, n)}
	for i := range n {
		v.set(i, "[PAD"+strconv.Itoa(i)+"]", padScore, Unused)
	}
	return v
}

func (v *vocabulary) set(id int, text string, score float32, typ TokenType) {
	v.tokens[id], v.scores[id], v.types[id] = text, score, typ
}

// add sets a token of the kind that is found in a text before it is tokenized:
// either part of the model's control of a conversation, or plain.
func (v *vocabulary) add(id int, text string, special bool) {
	if special || looksSpecial(text) {
		v.set(id, text, addedScore, Control)
		return
	}
	// Such tokens are compared with the text itself, where spaces are spaces.
	v.set(id, strings.ReplaceAll(text, "▁", " "), addedScore, UserDefined)
}

// looksSpecial finds the tokens that should be control tokens but are not marked
// as such in the files of some models.
func looksSpecial(text string) bool {
	switch {
	case text == "<pad>", text == "<mask>", text == "<2mass>", text == "[@BOS@]":
		return true
	case strings.HasPrefix(text, "<|") && strings.HasSuffix(text, "|>"):
		return true
	case strings.HasPrefix(text, "<｜") && strings.HasSuffix(text, "｜>"):
		return true
	}
	return strings.HasPrefix(text, "<unused") && strings.HasSuffix(text, ">")
}

// errNoTokenizer says that tokenizer.json is of a kind that llama.cpp's two
// tokenizers for these models do not compute.
var errNoTokenizer = errors.New("neither byte-level BPE nor BPE with byte fallback")
