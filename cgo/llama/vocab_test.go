package llama_test

import (
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

var texts = map[string]string{
	"nothing":              "",
	"words":                "What color is the background?",
	"spaces":               "  leading, and   inside ",
	"newlines and tabs":    "one\n\ttwo\r\n",
	"German":               "Größe über alles, Straße",
	"Chinese":              "背景是什么颜色？",
	"emoji":                "a cat 🐈‍⬛ and a flag 🇩🇪",
	"combining characters": "e\u0301 a\u0308",
	"NUL bytes":            "a\x00b\x00",
	"names of specials":    "<s> </s> <unk> <0x41>",
	"every ASCII byte":     ascii(),
	"a long text":          strings.Repeat("red blue green ", 2000),
}

func ascii() string {
	var b strings.Builder
	for c := range 128 {
		b.WriteByte(byte(c))
	}
	return b.String()
}

func TestTokenizeAndDetokenizeAreInverse(t *testing.T) {
	v := seedModel(t).Vocab()
	for name, text := range texts {
		tokens, err := v.Tokenize(text, false, false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		back, err := v.Detokenize(tokens, false, false)
		if err != nil || back != text {
			t.Errorf("%s: %.60q came back as %.60q, %v", name, text, back, err)
		}
	}
}

func TestTokenizeTakesBytesThatAreNoUTF8(t *testing.T) {
	v := seedModel(t).Vocab()
	for _, text := range []string{"\xff\xfe", "a\xc3", "\xed\xa0\x80", "\xf0\x9f\x90",
		strings.Repeat("\x80", 1000)} {
		if _, err := v.Tokenize(text, true, true); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSpecialTokensAreParsedOnlyWhenAsked(t *testing.T) {
	v := seedModel(t).Vocab()
	plain, err := v.Tokenize("</s>", false, false)
	if err != nil || len(plain) < 2 {
		t.Errorf("as text: %v, %v", plain, err)
	}
	parsed, err := v.Tokenize("</s>", false, true)
	if err != nil || len(parsed) != 1 || parsed[0] != v.EOS() {
		t.Errorf("parsed: %v, %v", parsed, err)
	}
	with, _ := v.Tokenize("red", true, false)
	without, _ := v.Tokenize("red", false, false)
	if len(with) != len(without)+1 || with[0] != v.BOS() {
		t.Errorf("with BOS %v, without %v", with, without)
	}
	if text, _ := v.Detokenize(with, true, false); text != "red" {
		t.Errorf("without BOS the text is %q", text)
	}
	if text, _ := v.Detokenize(with, false, true); text != "<s>red" {
		t.Errorf("with special tokens as text it is %q", text)
	}
}

func TestDecoderNeverCutsACharacter(t *testing.T) {
	v := seedModel(t).Vocab()
	for name, text := range texts {
		tokens, err := v.Tokenize(text, false, false)
		if err != nil {
			t.Fatal(err)
		}
		d := llama.Decoder{Vocab: v}
		var out strings.Builder
		for _, token := range tokens {
			piece := d.Push(token)
			if !utf8.ValidString(piece) {
				t.Errorf("%s: %q is no UTF-8", name, piece)
			}
			out.WriteString(piece)
		}
		out.WriteString(d.Flush())
		if out.String() != text {
			t.Errorf("%s: %.60q came out as %.60q", name, text, out.String())
		}
	}
}

func TestDecoderReplacesWhatNeverBecomesACharacter(t *testing.T) {
	v := seedModel(t).Vocab()
	// <0x00> is token 3 of the built-in model
	byteToken := func(b byte) llama.Token { return llama.Token(3 + int(b)) }
	if v.Text(byteToken(0xf0)) != "<0xF0>" {
		t.Fatalf("token %d is %q", byteToken(0xf0), v.Text(byteToken(0xf0)))
	}
	d := llama.Decoder{Vocab: v}
	got := d.Push(byteToken(0xf0)) + "|" + d.Push(byteToken(0x9f)) + "|" + d.Push(byteToken('A')) +
		"|" + d.Push(byteToken(0xe2)) + "|" + d.Flush() + "|" + d.Flush()
	if want := "||\ufffd\ufffdA||\ufffd|"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVocabProperties(t *testing.T) {
	v := seedModel(t).Vocab()
	if v.N() != vocabulary {
		t.Errorf("%d tokens", v.N())
	}
	if v.BOS() != 1 || v.EOS() != 2 || !v.AddBOS() {
		t.Errorf("BOS %d, EOS %d, added %v", v.BOS(), v.EOS(), v.AddBOS())
	}
	if !v.IsEOG(v.EOS()) || v.IsEOG(10) ||
		v.Attr(v.BOS())&llama.AttrControl == 0 || v.Attr(300)&llama.AttrControl != 0 {
		t.Error("end of generation or control tokens are wrong")
	}
	if v.Attr(3)&llama.AttrByte == 0 || v.Attr(0)&llama.AttrUnknown == 0 || v.Text(1) != "<s>" {
		t.Errorf("attributes %v %v, text %q", v.Attr(3), v.Attr(0), v.Text(1))
	}
	if string(v.Piece(v.EOS(), true)) != "</s>" || len(v.Piece(v.EOS(), false)) != 0 {
		t.Errorf("EOS is written %q and %q", v.Piece(v.EOS(), true), v.Piece(v.EOS(), false))
	}
	for _, token := range []llama.Token{-1, -1 << 31, vocabulary, 1<<31 - 1} {
		if v.Text(token) != "" || v.Score(token) != 0 || v.Attr(token) != 0 || v.IsEOG(token) ||
			v.Piece(token, true) != nil {
			t.Errorf("token %d has properties", token)
		}
		_, err := v.Detokenize([]llama.Token{token}, false, false)
		wantError(t, err, nil)
	}
	for _, token := range []llama.Token{v.EOT(), v.NL()} {
		if token < llama.NoToken || int(token) >= v.N() {
			t.Errorf("a special token is %d", token)
		}
	}
}

func TestVocabServesManyGoroutines(t *testing.T) {
	v := seedModel(t).Vocab()
	want := len(tokenize(t, prompt))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if tokens, err := v.Tokenize(prompt, true, false); err != nil ||
					len(tokens) != want {
					t.Errorf("%d tokens, %v", len(tokens), err)
				}
			}
		})
	}
	wg.Wait()
}
