package hf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// field appends a field of bytes to a protocol buffer.
func field(b []byte, number int, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(number)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

func number(b []byte, n int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(n)<<3), value)
}

func onePiece(text string, score float32, typ uint64) []byte {
	b := field(nil, 1, []byte(text))
	b = binary.LittleEndian.AppendUint32(append(b, 2<<3|5), math.Float32bits(score))
	return number(b, 3, typ)
}

// bpeModel is a SentencePiece model of pieces.
func bpeModel(pieces ...[]byte) []byte {
	var b []byte
	for _, p := range pieces {
		b = field(b, 1, p)
	}
	return field(b, 2, number(field(nil, 7, []byte("x")), 3, 2))
}

func TestSentencePieceModels(t *testing.T) {
	good := bpeModel(onePiece("<unk>", 0, 2), onePiece("<0x41>", 0, 6), onePiece("▁a", -1.5, 1),
		onePiece("b", -2, 4), field(nil, 1, []byte("c")))
	pieces, err := parseSentencePiece(good)
	want := []piece{{"<unk>", 0, Unknown}, {"<0x41>", 0, Byte}, {"▁a", -1.5, Normal},
		{"b", -2, Normal}, {"c", 0, Normal}}
	if err != nil || !slices.Equal(pieces, want) {
		t.Errorf("%v, %v; want %v", pieces, err, want)
	}
	nan := float32(math.NaN())
	tests := []struct {
		name string
		file []byte
		want error
		says string
	}{
		{"nothing", nil, ErrInvalid, "no SentencePiece model"},
		{"a text", []byte("version https://git-lfs.github.com/spec/v1"), ErrInvalid, ""},
		{"another algorithm", field(nil, 1, onePiece("a", 0, 1)), ErrUnsupported, "algorithm 1"},
		{"a token of another type", bpeModel(onePiece("a", 0, 7)), ErrInvalid,
			"token 0: invalid: type 7"},
		{"a token of a huge type", bpeModel(onePiece("a", 0, 1<<63)), ErrInvalid, "type 99"},
		{"a score that is no number", bpeModel(onePiece("a", nan, 1)), ErrInvalid, "score"},
		{"a token that is not UTF-8", bpeModel(onePiece("\xff", 0, 1)), ErrInvalid, "UTF-8"},
		{"an end inside a field", good[:len(good)-1], ErrInvalid, "ends inside a field"},
		{"an end inside a tag", []byte{0x80}, ErrInvalid, "no protocol buffer"},
		{"an end inside a number", []byte{3 << 3, 0x80}, ErrInvalid, "ends inside a number"},
		{"an end inside 4 bytes", []byte{2<<3 | 5, 0, 0}, ErrInvalid, "ends inside a number"},
		{"an end inside 8 bytes", []byte{2<<3 | 1, 0, 0}, ErrInvalid, "ends inside a number"},
		{"a length of 2^64-1", append([]byte{1<<3 | 2}, binary.AppendUvarint(nil,
			math.MaxUint64)...), ErrInvalid, "ends inside a field"},
		{"a length of 2^63-1", append([]byte{1<<3 | 2}, binary.AppendUvarint(nil,
			math.MaxInt64)...), ErrInvalid, "ends inside a field"},
		{"a group", []byte{1<<3 | 3}, ErrInvalid, "wire type 3"},
		{"a field 0", []byte{0, 0}, ErrInvalid, "no protocol buffer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseSentencePiece(tt.file)
			checkError(t, err, tt.want, tt.says)
		})
	}
}

// model is a config of a vocabulary of n tokens.
func model(kind string, n int) *Config { return &Config{Text: Text{ModelType: kind, Vocab: n}} }

// byteLevel is a tokenizer.json of byte-level BPE; more goes into its object.
func byteLevel(steps, vocab, merges, more string) string {
	return `{"pre_tokenizer":{"type":"Sequence","pretokenizers":[` + steps +
		`]},"model":{"type":"BPE","vocab":` + vocab + `,"merges":` + merges + `}` + more + `}`
}

const (
	gptBytes = `{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}`
	rawBytes = `{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}`
)

func split(t *testing.T, regex, behavior string) string {
	quoted, err := json.Marshal(regex)
	if err != nil {
		t.Fatal(err)
	}
	return `{"type":"Split","pattern":{"Regex":` + string(quoted) + `},"behavior":"` + behavior +
		`","invert":false}`
}

func TestPreTokenizersAreTold(t *testing.T) {
	digits := `{"type":"Digits","individual_digits":true}`
	tests := []struct{ name, steps, want string }{
		{"Llama 3", split(t, splitLlama3, "Isolated") + "," + rawBytes, "llama-bpe"},
		{"Qwen 2", split(t, splitQwen2, "Isolated") + "," + rawBytes, "qwen2"},
		{"SmolLM", digits + "," + gptBytes, "smollm"},
		{"GPT-2", gptBytes, "gpt-2"},
		{"GPT-2 without its word", `{"type":"ByteLevel","add_prefix_space":false}`, "gpt-2"},
		{"another expression", split(t, `\w+`, "Isolated") + "," + rawBytes, ""},
		{"another behaviour", split(t, splitLlama3, "Removed") + "," + rawBytes, ""},
		{"digits together", strings.Replace(digits, "true", "false", 1) + "," + gptBytes, ""},
		{"a space in front", strings.Replace(gptBytes, "false", "true", 1), ""},
		{"another order", gptBytes + "," + digits, ""},
		{"an unknown step", `{"type":"Punctuation"},` + gptBytes, ""},
		{"a pattern that is a text", `{"type":"Split","pattern":"x"},` + gptBytes, ""},
		{"no bytes", digits, ""},
		{"nothing", "", ""},
		{"an empty step", "null", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tok, err := ReadTokenizer(write(t,
				map[string]string{"tokenizer.json": byteLevel(tt.steps, `{"a":0}`, `[]`, "")}),
				model("llama", 1))
			switch {
			case tt.want == "":
				checkError(t, err, ErrUnsupported, "tokenizer.json")
			case err != nil:
				t.Error(err)
			case tok.Model != "gpt2" || tok.Pre != tt.want || tok.Scores != nil:
				t.Errorf("%s, %s; want %s", tok.Model, tok.Pre, tt.want)
			}
		})
	}
}

func TestTokenizersOfBytes(t *testing.T) {
	more := `,"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"}]},"added_tokens":[{"id":3,"content":"<s>","special":true},
		{"id":4,"content":"▁x","special":false},{"id":5,"content":"<|x|>","special":false}],
		"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]}]}`
	dir := write(t, map[string]string{
		"tokenizer.json": byteLevel(gptBytes, `{"a":0,"b":1,"ab":2}`, `[["a","b"],["a ","b"]]`,
			more),
		"tokenizer_config.json": `{"bos_token":{"content":"<s>"},"eos_token":"<|x|>","pad_token":"<none>","add_eos_token":false,"add_prefix_space":true,
			"chat_template":[{"name":"default","template":"D"},{"name":"tool use","template":"T"},{"name":"x"},7]}`,
		"chat_template.jinja": "J",
	})
	c := model("llama", 8)
	c.Text.SpecialID = map[string]int{"eos": 1, "unk": 2}
	got, err := ReadTokenizer(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	want := &Tokenizer{
		Model: "gpt2", Pre: "gpt-2", Tokens: []string{"a", "b", "ab", "<s>", " x", "<|x|>",
			"[PAD6]", "[PAD7]"},
		Types:  []TokenType{Normal, Normal, Normal, Control, UserDefined, Control, Unused, Unused},
		Merges: []string{"a b", "aĠ b"}, Special: map[string]int{"bos": 3, "eos": 5, "unk": 2},
		Add:         map[string]bool{"bos": true, "eos": false},
		SpacePrefix: &yes, NFC: true, Template: "D", Templates: map[string]string{"tool_use": "T"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestSmolLMBeginsTextsWithNoToken is for the model that llama.cpp's converter
// knows by the size of its vocabulary.
func TestSmolLMBeginsTextsWithNoToken(t *testing.T) {
	dir := write(t, map[string]string{"tokenizer.json": byteLevel(gptBytes, `{"a":0}`, `[]`, "")})
	for n, want := range map[int]map[string]bool{49152: {"bos": false}, 49153: {}} {
		if tok, err := ReadTokenizer(dir, model("llama", n)); err != nil ||
			!reflect.DeepEqual(tok.Add, want) {
			t.Errorf("%d: %+v, %v", n, tok, err)
		}
	}
}

func TestTemplatesAreFoundWhereTheyLie(t *testing.T) {
	json := byteLevel(gptBytes, `{"a":0}`, `[]`, "")
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"none":                 {nil, ""},
		"in a file of its own": {map[string]string{"chat_template.jinja": "J"}, "J"},
		"in an older one": {map[string]string{"chat_template.json": `{"chat_template":"O"}`},
			"O"},
		"in both": {map[string]string{"chat_template.json": `{"chat_template":"O"}`,
			"chat_template.jinja": "J"}, "J"},
		"in the tokenizer's, too": {map[string]string{"chat_template.jinja": "J",
			"tokenizer_config.json": `{"chat_template":"C"}`}, "C"},
		"of a kind that no one expects": {map[string]string{"chat_template.jinja": "J",
			"tokenizer_config.json": `{"chat_template":7}`}, "J"},
	} {
		files := map[string]string{"tokenizer.json": json}
		for k, v := range tt.files {
			files[k] = v
		}
		if tok, err := ReadTokenizer(write(t, files), model("llama", 1)); err != nil ||
			tok.Template != tt.want {
			t.Errorf("%s: %+v, %v; want %q", name, tok, err, tt.want)
		}
	}
}

func TestTokenizerFilesThatCannotBeUsedAreErrors(t *testing.T) {
	piece := string(bpeModel(onePiece("a", 0, 1), onePiece("b", 0, 1)))
	bytesOf := func(vocab, merges, more string) map[string]string {
		return map[string]string{"tokenizer.json": byteLevel(gptBytes, vocab, merges, more)}
	}
	tests := []struct {
		name  string
		files map[string]string
		want  error
		says  string
	}{
		{"no file", nil, fs.ErrNotExist, "neither tokenizer.model nor tokenizer.json"},
		{"no JSON", map[string]string{"tokenizer.json": "version https://git-lfs"}, ErrInvalid,
			"no JSON"},
		{"not UTF-8", map[string]string{"tokenizer.json": "\"\xff\""}, ErrInvalid, "UTF-8"},
		{"an array", map[string]string{"tokenizer.json": "[]"}, ErrInvalid, "tokenizer.json"},
		{"no model", map[string]string{"tokenizer.json": "{}"}, ErrInvalid, "no vocabulary"},
		{"another model", map[string]string{"tokenizer.json": `{"model":{"type":"WordPiece","vocab":{"a":0}}}`}, ErrUnsupported, "WordPiece"},
		{"a vocabulary that is a list",
			map[string]string{"tokenizer.json": `{"model":{"type":"BPE","vocab":[["a",0]]}}`},
			ErrInvalid, "tokenizer.json"},
		{"an id past the vocabulary", bytesOf(`{"a":3}`, `[]`, ""), ErrInvalid,
			`token "a" has the id 3`},
		{"a negative id", bytesOf(`{"a":-1}`, `[]`, ""), ErrInvalid, "id -1"},
		{"an id that is a text", bytesOf(`{"a":"0"}`, `[]`, ""), ErrInvalid, "tokenizer.json"},
		{"an id twice", bytesOf(`{"a":1,"b":1}`, `[]`, ""), ErrInvalid, "share the id 1"},
		{"an added token with another's id", bytesOf(`{"a":1}`, `[]`,
			`,"added_tokens":[{"id":1,"content":"b"}]`), ErrInvalid, "share the id 1"},
		{"an added token past the vocabulary", bytesOf(`{"a":1}`, `[]`,
			`,"added_tokens":[{"id":3,"content":"b"}]`), ErrInvalid, "id 3"},
		{"a merge of one part", bytesOf(`{"a":0}`, `["a"]`, ""), ErrInvalid, "merge 0"},
		{"a merge of three parts", bytesOf(`{"a":0}`, `[["a","b","c"]]`, ""), ErrInvalid,
			"3 parts"},
		{"a merge with an empty part", bytesOf(`{"a":0}`, `[["a",""]]`, ""), ErrInvalid, "merge 0"},
		{"merges that are numbers", bytesOf(`{"a":0}`, `[1]`, ""), ErrInvalid, "tokenizer.json"},
		{"a configuration that is a list", map[string]string{"tokenizer.json": byteLevel(gptBytes,
			`{"a":0}`, `[]`, ""), "tokenizer_config.json": "[]"}, ErrInvalid,
			"tokenizer_config.json"},
		{"an add_bos_token that is a text", map[string]string{"tokenizer.model": piece,
			"tokenizer_config.json": `{"add_bos_token":"yes"}`}, ErrInvalid, "add_bos_token"},
		{"more tokens than the model has",
			map[string]string{"tokenizer.model": string(bpeModel(make([][]byte, 4)...))},
			ErrInvalid, "it has 4 tokens, and the model's vocab_size is 3"},
		{"an added id that is a text", map[string]string{"tokenizer.model": piece,
			"added_tokens.json": `{"x":"2"}`}, ErrInvalid, "added_tokens.json"},
		{"an added id below 0", map[string]string{"tokenizer.model": piece,
			"added_tokens.json": `{"x":-2}`}, ErrInvalid, "id -2"},
		{"a decoder's id that is no number", map[string]string{"tokenizer.model": piece,
			"tokenizer_config.json": `{"added_tokens_decoder":{"x":{}}}`}, ErrInvalid,
			"added_tokens_decoder"},
		{"a decoder's token that is a text", map[string]string{"tokenizer.model": piece,
			"tokenizer_config.json": `{"added_tokens_decoder":{"1":"x"}}`}, ErrInvalid,
			"added_tokens_decoder"},
		{"a template that is not UTF-8", map[string]string{"tokenizer.model": piece,
			"chat_template.jinja": "\xff"}, ErrInvalid, "chat_template.jinja"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadTokenizer(write(t, tt.files), model("llama", 3))
			checkError(t, err, tt.want, tt.says)
		})
	}
}

func TestTokensBeyondTheVocabularyAreLeftOut(t *testing.T) {
	dir := write(t, map[string]string{
		"tokenizer.model":       string(bpeModel(onePiece("a", 0, 1), onePiece("b", -1, 1))),
		"added_tokens.json":     `{"<x>":2,"<pad>":9}`,
		"tokenizer_config.json": `{"added_tokens_decoder":{"2":{"content":"<y>","special":true},"10":{"content":"<z>"}}}`,
	})
	tok, err := ReadTokenizer(dir, model("llama", 3))
	if err != nil || !slices.Equal(tok.Tokens, []string{"a", "b", "<y>"}) ||
		!slices.Equal(tok.Types, []TokenType{Normal, Normal, Control}) ||
		!slices.Equal(tok.Scores, []float32{0, -1, addedScore}) {
		t.Errorf("%+v, %v", tok, err)
	}
}

func TestHugeFilesAreErrors(t *testing.T) {
	for name, limit := range map[string]int{"tokenizer.json": maxTokenizer,
		"chat_template.jinja": maxConfig} {
		files := map[string]string{"tokenizer.json": "{}", name: strings.Repeat(" ", limit+1)}
		_, err := ReadTokenizer(write(t, files), model("llama", 3))
		if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
