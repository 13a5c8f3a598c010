package server

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTokensAndTextsInTheShapesOfOtherServers(t *testing.T) {
	ts := serve(t)
	var llama struct{ Tokens []int }
	r := ts.do(t, "POST", "/tokenize", `{"content":"a red circle, größer"}`)
	if json.Unmarshal([]byte(r.text), &llama) != nil || r.status != 200 || len(llama.Tokens) < 3 {
		t.Fatalf("%d %s", r.status, r.text)
	}
	var pieces struct {
		Tokens []struct {
			ID    int
			Piece any
		}
	}
	r = ts.do(t, "POST", "/tokenize",
		`{"content":"a red circle, größer","with_pieces":true,"add_special":true}`)
	if json.Unmarshal([]byte(r.text), &pieces) != nil ||
		len(pieces.Tokens) != len(llama.Tokens)+1 || pieces.Tokens[1].ID != llama.Tokens[0] ||
		pieces.Tokens[1].Piece == nil {
		t.Errorf("%s", r.text)
	}
	var vllm struct {
		Count  int
		Most   int `json:"max_model_len"`
		Tokens []int
		Texts  []string `json:"token_strs"`
	}
	r = ts.do(t, "POST",
		"/tokenize", `{"model":"seed","prompt":"a red circle, größer","add_special_tokens":false,"return_token_strs":true}`)
	if json.Unmarshal([]byte(r.text), &vllm) != nil || vllm.Count != len(llama.Tokens) ||
		vllm.Most == 0 || len(vllm.Texts) != vllm.Count {
		t.Errorf("%s", r.text)
	}
	chat := vllm
	r = ts.do(t, "POST", "/tokenize",
		`{"model":"seed","messages":[{"role":"user","content":"a red circle"}]}`)
	if json.Unmarshal([]byte(r.text), &chat) != nil || chat.Count <= 5 {
		t.Errorf("%s", r.text)
	}
	tokens, err := json.Marshal(llama.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"tokens":` + string(tokens) + `}`, `{"model":"seed","tokens":` +
		string(tokens) + `}`} {
		if r := ts.do(t, "POST", "/detokenize", body); r.status != 200 ||
			r.text != `{"content":"a red circle, größer","prompt":"a red circle, größer"}`+"\n" {
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	for _, x := range [][2]string{{"/tokenize", `{}`},
		{"/tokenize", `{"model":"nobody","content":"a"}`}, {"/detokenize", `{}`},
		{"/detokenize", `{"tokens":"a"}`}, {"/detokenize", `{"tokens":[99999999]}`}} {
		if r := ts.do(t, "POST", x[0], x[1]); r.status < 400 || r.status >= 500 ||
			!strings.Contains(r.text, `{"error":{"message":`) {
			t.Errorf("%s %s: %d %s", x[0], x[1], r.status, r.text)
		}
	}
	if r := ts.do(t, "POST", "/tokenize", `{"content":""}`); r.text != `{"tokens":[]}`+"\n" {
		t.Errorf("%s", r.text)
	}
}
