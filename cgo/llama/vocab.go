package llama

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"unicode/utf8"
	"unsafe"
)

// TokenAttr is a set of properties of a token.
type TokenAttr uint32

// Token properties.
const (
	AttrUnknown     TokenAttr = C.LLAMA_TOKEN_ATTR_UNKNOWN
	AttrControl     TokenAttr = C.LLAMA_TOKEN_ATTR_CONTROL
	AttrUserDefined TokenAttr = C.LLAMA_TOKEN_ATTR_USER_DEFINED
	AttrByte        TokenAttr = C.LLAMA_TOKEN_ATTR_BYTE
)

// Vocab turns text into tokens and back. It belongs to its Model and may be used from several
// goroutines.
type Vocab struct {
	model *Model
	c     *C.struct_llama_vocab
	n     int // tokens; asked for with every batch, so not left in C
}

// N is the number of tokens.
func (v *Vocab) N() int {
	if v.c == nil {
		return 0
	}
	return v.n
}

func (v *Vocab) valid(t Token) bool { return v.c != nil && t >= 0 && int(t) < v.N() }

// Tokenize splits text into tokens. addSpecial adds the tokens that the model wants at the start
// and end of a text (BOS, EOS); parseSpecial lets text name special tokens such as "<|im_end|>",
// which text from a user must not.
func (v *Vocab) Tokenize(text string, addSpecial, parseSpecial bool) ([]Token, error) {
	if v.c == nil {
		return nil, ErrClosed
	}
	if C.llama_vocab_type(v.c) == C.LLAMA_VOCAB_TYPE_NONE {
		return nil, fmt.Errorf("llama: %s has no vocabulary", v.model.path)
	}
	if len(text) > math.MaxInt32/2 {
		return nil, fmt.Errorf(
			"llama: tokenize: the text has %d bytes, more than a tokenizer takes", len(text))
	}
	// One token a byte and the special ones: enough for nearly every text at the first try.
	tokens := make([]Token, len(text)+4)
	for {
		var n C.int32_t
		var eb errBuf
		ok := C.shim_tokenize(v.c, (*C.char)(unsafe.Pointer(unsafe.StringData(text))),
			C.int32_t(len(text)),
			(*C.llama_token)(unsafe.Pointer(&tokens[0])), C.int32_t(len(tokens)),
			C.bool(addSpecial), C.bool(parseSpecial), &n, eb.ptr(), eb.cap())
		switch {
		case !bool(ok):
			return nil, fmt.Errorf("llama: tokenize: %s", eb.String())
		case n == math.MinInt32:
			return nil, fmt.Errorf("llama: tokenize: the text has too many tokens")
		case n >= 0:
			return tokens[:n], nil
		}
		tokens = make([]Token, -n)
	}
}

// Piece is the bytes of one token, which may be part of a UTF-8 sequence. Special tokens are empty
// unless special is set.
func (v *Vocab) Piece(t Token, special bool) []byte {
	return v.AppendPiece(nil, t, special)
}

// AppendPiece appends the bytes of t to dst. A token outside the vocabulary has none.
func (v *Vocab) AppendPiece(dst []byte, t Token, special bool) []byte {
	if !v.valid(t) {
		return dst
	}
	var small [64]byte
	if n := v.piece(t, small[:], special); n >= 0 {
		return append(dst, small[:n]...)
	} else {
		large := make([]byte, -n)
		return append(dst, large[:max(v.piece(t, large, special), 0)]...)
	}
}

// piece writes the bytes of t into buf and returns their number; negated if buf is too small.
func (v *Vocab) piece(t Token, buf []byte, special bool) int {
	var n C.int32_t
	var eb errBuf
	if !bool(C.shim_token_to_piece(v.c, C.llama_token(t), (*C.char)(unsafe.Pointer(&buf[0])),
		C.int32_t(len(buf)), C.bool(special), &n, eb.ptr(), eb.cap())) {
		return 0 // libllama cannot decode the entry: it stands for no bytes
	}
	return int(n)
}

// Detokenize is the text of tokens, the inverse of Tokenize. removeSpecial leaves out BOS and EOS,
// unparseSpecial writes special tokens as text.
func (v *Vocab) Detokenize(tokens []Token, removeSpecial, unparseSpecial bool) (string, error) {
	if v.c == nil {
		return "", ErrClosed
	}
	if len(tokens) == 0 {
		return "", nil
	}
	if len(tokens) > math.MaxInt32/8-16 {
		return "", fmt.Errorf("llama: detokenize: too many tokens")
	}
	for _, t := range tokens {
		if !v.valid(t) {
			return "", fmt.Errorf("llama: detokenize: token %d is not in the vocabulary of %d", t,
				v.N())
		}
	}
	text := make([]byte, 8*len(tokens)+16)
	for range 2 {
		var n C.int32_t
		var eb errBuf
		if err := eb.err(C.shim_detokenize(v.c, (*C.llama_token)(unsafe.Pointer(&tokens[0])),
			C.int32_t(len(tokens)),
			(*C.char)(unsafe.Pointer(&text[0])), C.int32_t(len(text)), C.bool(removeSpecial),
			C.bool(unparseSpecial), &n, eb.ptr(), eb.cap()), "detokenize"); err != nil {
			return "", err
		}
		if n >= 0 {
			return string(text[:n]), nil
		}
		text = make([]byte, -n)
	}
	return "", fmt.Errorf("llama: detokenize: the length of the text kept changing")
}

// Text is the entry of t in the vocabulary as stored ("▁the"), empty for a token outside it.
func (v *Vocab) Text(t Token) string {
	if !v.valid(t) {
		return ""
	}
	return C.GoString(C.llama_vocab_get_text(v.c, C.llama_token(t)))
}

// Score is the entry's score in the vocabulary (a log probability for SentencePiece models).
func (v *Vocab) Score(t Token) float32 {
	if !v.valid(t) {
		return 0
	}
	return float32(C.llama_vocab_get_score(v.c, C.llama_token(t)))
}

// Attr is the set of properties of t.
func (v *Vocab) Attr(t Token) TokenAttr {
	if !v.valid(t) {
		return 0
	}
	return TokenAttr(C.llama_vocab_get_attr(v.c, C.llama_token(t)))
}

// IsEOG reports whether t ends a generation (end of sequence, end of turn ...).
func (v *Vocab) IsEOG(t Token) bool {
	return v.valid(t) && bool(C.llama_vocab_is_eog(v.c, C.llama_token(t)))
}

func (v *Vocab) special(f func() C.llama_token) Token {
	if v.c == nil {
		return NoToken
	}
	return Token(f())
}

// BOS is the beginning-of-sequence token, or NoToken.
func (v *Vocab) BOS() Token {
	return v.special(func() C.llama_token { return C.llama_vocab_bos(v.c) })
}

// EOS is the end-of-sequence token, or NoToken.
func (v *Vocab) EOS() Token {
	return v.special(func() C.llama_token { return C.llama_vocab_eos(v.c) })
}

// EOT is the end-of-turn token, or NoToken.
func (v *Vocab) EOT() Token {
	return v.special(func() C.llama_token { return C.llama_vocab_eot(v.c) })
}

// NL is the newline token, or NoToken.
func (v *Vocab) NL() Token {
	return v.special(func() C.llama_token { return C.llama_vocab_nl(v.c) })
}

// AddBOS reports whether the model wants BOS before a text.
func (v *Vocab) AddBOS() bool { return v.c != nil && bool(C.llama_vocab_get_add_bos(v.c)) }

// Decoder turns a stream of tokens into text without ever cutting a UTF-8 sequence: bytes of an
// unfinished character wait for the tokens that complete it. The zero value with a Vocab is ready
// for use.
type Decoder struct {
	Vocab   *Vocab
	Special bool // write special tokens as text
	pending []byte
}

// Push adds a token and returns the text that is complete now. Bytes that can never become a
// character come out as U+FFFD.
func (d *Decoder) Push(t Token) string {
	d.pending = d.Vocab.AppendPiece(d.pending, t, d.Special)
	n := completeUTF8(d.pending)
	text := toValid(d.pending[:n])
	d.pending = append(d.pending[:0], d.pending[n:]...)
	return text
}

// Flush returns what is left, an unfinished character as U+FFFD, and empties the decoder.
func (d *Decoder) Flush() string {
	text := toValid(d.pending)
	d.pending = d.pending[:0]
	return text
}

// completeUTF8 is the length of b without an unfinished character at its end.
func completeUTF8(b []byte) int {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				return len(b)
			}
			return i
		}
	}
	return len(b)
}

func toValid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b)))
}
