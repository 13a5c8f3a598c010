package batch

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	good := `{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "llava", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1000}}`
	it, err := ParseLine([]byte(good))
	if err != nil || it.ID != "request-1" || it.URL != "/v1/chat/completions" ||
		it.Model != "llava" || !json.Valid(it.Body) {
		t.Errorf("%+v, %v", it, err)
	}
	for line, want := range map[string]string{
		"":                                      "not a JSON object: unexpected end",
		strings.Replace(good, "Hi", "\xe9", 1):  "it is not in UTF-8",
		`{"custom_id": "a", "method": "POST"}`:  "url is missing",
		"[]":                                    "not a JSON object, but a JSON array",
		"{}":                                    "custom_id is missing",
		`{"custom_id": 3}`:                      "custom_id is a JSON number",
		`{"custom_id": ""}`:                     "custom_id is missing",
		`{"custom_id": "a"}`:                    "method is missing",
		good[:len(good)-1]:                      "not a JSON object",
		good + "x":                              "not a JSON object",
		strings.Replace(good, "POST", "GET", 1): `method is "GET"`,
		strings.Replace(good, "/v1/chat", "/api/chat",
			1): `url is "/api/chat/completions"; give one of`,
		strings.Replace(good, `"llava"`, `7`,
			1): "model in the body",
		strings.Replace(good, `{"model"`, `{"stream": true, "model"`,
			1): "stream is true",
		`{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": []}`: "body is not",
		`{"custom_id": "a", "method": "POST", "url": "/v1/embeddings"}`:             "body is missing",
		strings.Replace(good, "request-1", strings.Repeat("i", MaxID+1), 1):         "at most 512",
	} {
		if _, err := ParseLine([]byte(line)); !errors.Is(err, ErrLine) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", line, err, want)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}}`))
	f.Add([]byte(`{"custom_id": "a", "method": "post", "url": "/v1/responses", "body": {"stream": true}}`))
	f.Add([]byte(`{"custom_id": null, "body": {"model": null}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		it, err := ParseLine(line)
		if err != nil {
			if !errors.Is(err, ErrLine) {
				t.Errorf("%v", err)
			}
			return
		}
		if checkID(it.ID) != nil || !json.Valid(it.Body) || it.Body[0] != '{' {
			t.Errorf("%+v", it)
		}
		// What was taken goes through the queue unchanged.
		data, err := json.Marshal(job{Batch: "b", ID: it.ID, Body: it.Body})
		var back job
		if err != nil || json.Unmarshal(data, &back) != nil || back.ID != it.ID {
			t.Errorf("%q comes back as %q, %v", it.ID, back.ID, err)
		}
	})
}

func TestAMarkOfUTF8IsNoPartOfTheFirstLine(t *testing.T) {
	for text, want := range map[string][]string{
		"\xef\xbb\xbf{}\n[]\n": {"{}", "[]"}, "\xef\xbb\xbf": nil, "": nil,
		"\xef\xbb": {"\xef\xbb"},
		"{}":       {"{}"}, "a\n\xef\xbb\xbfb": {"a", "\xef\xbb\xbfb"},
	} {
		var got []string
		for s := NewScanner(strings.NewReader(text)); s.Scan(); {
			got = append(got, s.Text())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}
