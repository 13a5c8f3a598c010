package server

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	wire "github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// completionReply is an answer to a completion request as a client in any language sees it.
type completionReply struct {
	Choices []struct {
		Index    int
		Text     string
		Logprobs *struct {
			Tokens  []string
			Values  []*float64           `json:"token_logprobs"`
			Top     []map[string]float64 `json:"top_logprobs"`
			Offsets []int                `json:"text_offset"`
		}
		Finish string `json:"finish_reason"`
	}
	Usage wire.Usage
}

func (ts *testServer) complete(t *testing.T, body string) completionReply {
	t.Helper()
	r := ts.do(t, "POST", "/v1/completions", body)
	var a completionReply
	if err := json.Unmarshal([]byte(r.text), &a); err != nil || r.status != 200 ||
		len(a.Choices) == 0 {
		t.Fatalf("%s: %d %s", body, r.status, r.text)
	}
	return a
}

func TestOpenAICompletionsScoreTheirPrompts(t *testing.T) {
	ts := serve(t)
	const prompt = "USER: What colour is größer als €5, 日本? 🙂 ASSISTANT:"
	for name, more := range map[string]string{"alone": `"max_tokens":0`,
		"before an answer": `"max_tokens":3`, "a float": `"max_tokens":0.0`} {
		a := ts.complete(t, `{"model":"seed","prompt":"`+prompt+`","echo":true,"logprobs":2,"temperature":0,`+more+`}`)
		c, runes := a.Choices[0], []rune(a.Choices[0].Text)
		l := c.Logprobs
		if !strings.HasPrefix(c.Text, prompt) || l == nil || len(l.Tokens) != len(l.Values) ||
			len(l.Top) != len(l.Tokens) || len(l.Offsets) != len(l.Tokens) {
			t.Fatalf("%s: %+v", name, a)
		}
		read := 1 // the token that begins a text
		for _, at := range l.Offsets {
			if at < utf8.RuneCountInString(prompt) {
				read++
			}
		}
		answered := name == "before an answer"
		if (c.Text == prompt) == answered || (a.Usage.Completion > 0) != answered ||
			a.Usage.Prompt != read || !answered && c.Finish != "length" {
			t.Errorf("%s: %q, %+v for %d tokens", name, c.Text, a.Usage, len(l.Tokens))
		}
		for i, token := range l.Tokens {
			if !strings.HasPrefix(token, "bytes:") &&
				!strings.HasPrefix(string(runes[l.Offsets[i]:]), token) {
				t.Errorf("%s: token %d is %q, and %q stands there", name, i, token,
					string(runes[l.Offsets[i]:]))
			}
			if (l.Values[i] == nil) != (i == 0) || (l.Top[i] == nil) != (i == 0) {
				t.Errorf("%s: token %d: %v %v", name, i, l.Values[i], l.Top[i])
			}
			if i > 0 && (*l.Values[i] > 0 || len(l.Top[i]) < 1 || len(l.Top[i]) > 3 ||
				l.Top[i][token] < *l.Values[i]) {
				t.Errorf("%s: token %d: %v %v", name, i, *l.Values[i], l.Top[i])
			}
		}
	}
	// Texts and lists of tokens in one request, several answers to each, more than are computed at
	// a time.
	a := ts.complete(t, `{"model":"seed","prompt":["a circle",[1,300.0,"301"],[5]],"n":2,"echo":true,"logprobs":0,"max_tokens":0}`)
	if len(a.Choices) != 6 || a.Choices[5].Index != 5 || a.Choices[2].Text != a.Choices[3].Text ||
		len(a.Choices[2].Logprobs.Tokens) != 3 || len(a.Choices[4].Logprobs.Tokens) != 1 {
		t.Errorf("%+v", a)
	}
	if top := a.Choices[2].Logprobs.Top[1]; len(top) != 1 {
		t.Errorf("nothing but the token was asked for: %v", top)
	}
	if a := ts.complete(t, `{"model":"seed","prompt":["a`+strings.Repeat(`","b`,
		40)+`"],"max_tokens":1,"echo":true,"logprobs":1}`); len(a.Choices) != 41 ||
		a.Choices[40].Index != 40 {
		t.Errorf("%d answers", len(a.Choices))
	}
	// Without an answer, without a prompt, and both streamed.
	if a := ts.complete(t,
		`{"model":"seed","prompt":"a circle","max_tokens":0,"logprobs":1}`); a.Choices[0].Text !=
		"" || a.Choices[0].Logprobs == nil || a.Usage.Prompt == 0 {
		t.Errorf("%+v", a)
	}
	for _, body := range []string{`{"model":"seed","max_tokens":2}`,
		`{"model":"seed","prompt":null,"max_tokens":2}`,
		`{"model":"seed","prompt":"","max_tokens":2,"echo":true,"logprobs":1}`,
		`{"model":"seed","prompt":["",[]],"max_tokens":2}`} {
		// one token each, behind which the toy may end
		if a := ts.complete(t, body); a.Usage.Prompt != len(a.Choices) {
			t.Errorf("%s: %+v", body, a)
		}
	}
	r := ts.do(t, "POST",
		"/v1/completions", `{"model":"seed","prompt":["a circle",[5,6]],"echo":true,"max_tokens":0,"logprobs":1,"stream":true,"stream_options":{"include_usage":true}}`)
	if !strings.Contains(r.text, `"text":"a circle"`) ||
		strings.Count(r.text, `"usage":null`) != 2 || !strings.Contains(r.text, `"total_tokens"`) ||
		!strings.HasSuffix(r.text, "data: [DONE]\n\n") {
		t.Errorf("%s", r.text)
	}
}
