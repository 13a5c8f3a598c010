package server

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// tokenizeRequest is the body of POST /tokenize in llama-server's or vLLM's form. Both have this
// path; the fields tell which form it is.
type tokenizeRequest struct {
	Model string `json:"model"`
	// Of llama-server.
	Content    *string `json:"content"`
	AddSpecial bool    `json:"add_special"`
	Special    *bool   `json:"parse_special"`
	Pieces     bool    `json:"with_pieces"`
	// Of vLLM.
	Prompt     *string          `json:"prompt"`
	Messages   []openai.Message `json:"messages"`
	AddTokens  *bool            `json:"add_special_tokens"`
	TokenTexts bool             `json:"return_token_strs"`
}

// tokenPiece is a token with its text, or its bytes where it is a part of a character, as
// llama-server writes it.
type tokenPiece struct {
	ID    engine.Token `json:"id"`
	Piece any          `json:"piece"`
}

// tokenize answers POST /tokenize.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request, q *tokenizeRequest) error {
	l, err := s.models.useOnly(r.Context(), q.Model)
	if err != nil {
		return err
	}
	defer l.Release()
	tokens, err := s.tokensOf(r, l, q)
	if err != nil {
		return err
	}
	if q.Content == nil {
		return s.writeJSON(w, http.StatusOK, l.vllmTokens(tokens, q.TokenTexts))
	}
	if !q.Pieces {
		return s.writeJSON(w, http.StatusOK, map[string]any{"tokens": tokens})
	}
	pieces := make([]tokenPiece, len(tokens))
	for i, t := range tokens {
		pieces[i] = tokenPiece{ID: t, Piece: byteList(l.Model.Piece(t))}
	}
	return s.writeJSON(w, http.StatusOK, map[string]any{"tokens": pieces})
}

// tokensOf returns the tokens of what a request holds, an empty list for none.
func (s *Server) tokensOf(r *http.Request, l *lease, q *tokenizeRequest) ([]engine.Token, error) {
	var tokens []engine.Token
	var err error
	switch {
	case q.Content != nil:
		tokens, err = l.Model.Tokenize(*q.Content, q.AddSpecial, q.Special == nil || *q.Special)
	case q.Prompt != nil:
		tokens, err = l.Model.Tokenize(*q.Prompt, q.AddTokens == nil || *q.AddTokens, true)
	case len(q.Messages) > 0:
		t := s.newTalk(r.Context(), l.model, isSystem(q.Messages[0].Role))
		if err := s.openaiTalk(t, q.Messages); err != nil {
			return nil, err
		}
		var rendered *engine.Rendered
		if rendered, err = l.Model.Render(r.Context(), engine.Request{Messages: t.messages}); err ==
			nil {
			tokens = rendered.Tokens
		}
	default:
		return nil, failure.Field("content",
			"give content, prompt or messages to be cut into tokens")
	}
	if tokens == nil {
		tokens = []engine.Token{}
	}
	return tokens, err
}

// vllmTokens is vLLM's answer.
func (l *lease) vllmTokens(tokens []engine.Token, texts bool) any {
	out := struct {
		Count  int            `json:"count"`
		Most   int            `json:"max_model_len"`
		Tokens []engine.Token `json:"tokens"`
		Texts  []string       `json:"token_strs"`
	}{Count: len(tokens), Most: l.Model.Info().Context, Tokens: tokens}
	if texts {
		out.Texts = []string{}
		for _, t := range tokens {
			out.Texts = append(out.Texts, openai.TokenText(string(l.Model.Piece(t))))
		}
	}
	return out
}

// byteList returns bytes as a text, or as a list of numbers where they are not valid UTF-8.
func byteList(piece []byte) any {
	if utf8.Valid(piece) {
		return string(piece)
	}
	list := make([]int, len(piece))
	for i, b := range piece {
		list[i] = int(b)
	}
	return list
}

// detokenizeRequest is the body of POST /detokenize, in the words of both.
type detokenizeRequest struct {
	Model  string          `json:"model"`
	Tokens json.RawMessage `json:"tokens"`
}

// detokenize answers POST /detokenize, with llama-server's field and vLLM's.
func (s *Server) detokenize(w http.ResponseWriter, r *http.Request,
	q *detokenizeRequest) error {
	in, ok := fields.Input{}, len(q.Tokens) > 0
	if ok {
		in, ok = fields.ReadInput(q.Tokens)
	}
	if !ok || in.Tokens == nil {
		return failure.Wrong("tokens", "is missing, or no list of numbers")
	}
	l, err := s.models.useOnly(r.Context(), q.Model)
	if err != nil {
		return err
	}
	defer l.Release()
	text, err := l.Model.Detokenize(in.Tokens)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, struct {
		Content string `json:"content"`
		Prompt  string `json:"prompt"`
	}{text, text})
}
