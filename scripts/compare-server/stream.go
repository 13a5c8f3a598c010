package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ask sends a chat completion of OpenAI's API with "stream": true.
func (s *server) ask(ctx context.Context, q question, seen func()) (reply, error) {
	body, err := json.Marshal(completion(q, s.bias))
	if err != nil {
		return reply{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := s.http.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<12))
		return reply{}, fmt.Errorf("llama-server: %s: %s", response.Status, text)
	}
	r, err := readStream(response.Body, seen)
	r.began = began
	if err != nil {
		return r, err
	}
	return r, r.check(q)
}

type object = map[string]any

// completion is the body of a request.
func completion(q question, bias [][2]float64) object {
	var messages []object
	if q.system != "" {
		messages = append(messages, object{"role": "system", "content": q.system})
	}
	for i, t := range q.turns {
		var content any = t.text
		if t.picture != nil {
			url := "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(t.picture)
			// The line break after a picture, with which LLaVA was trained, is our template's work; llama-server adds none.
			content = []object{{"type": "image_url", "image_url": object{"url": url}}, {"type": "text", "text": "\n" + t.text}}
		}
		messages = append(messages, object{"role": "user", "content": content})
		if i < len(q.turns)-1 {
			messages = append(messages, object{"role": "assistant", "content": t.answer})
		}
	}
	return object{
		"messages": messages, "max_tokens": q.tokens, "temperature": 0, "logit_bias": bias,
		"stream": true, "stream_options": object{"include_usage": true},
	}
}

// readStream reads server-sent events up to [DONE]. A token has come when its text has.
func readStream(body io.Reader, seen func()) (reply, error) {
	var r reply
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		if string(data) == "[DONE]" {
			return r, nil
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
			Usage *struct {
				Prompt     int `json:"prompt_tokens"`
				Completion int `json:"completion_tokens"`
				Details    struct {
					Cached int `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
			} `json:"usage"`
			Error any `json:"error"`
		}
		if err := json.Unmarshal(data, &chunk); err != nil {
			return r, fmt.Errorf("llama-server: event %q: %w", data, err)
		}
		if chunk.Error != nil {
			return r, fmt.Errorf("llama-server: %v", chunk.Error)
		}
		if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
			r.at = append(r.at, time.Now())
			r.text += chunk.Choices[0].Delta.Content
			if seen != nil {
				seen()
			}
		}
		if u := chunk.Usage; u != nil {
			r.prompt, r.cached, r.tokens = u.Prompt, u.Details.Cached, u.Completion
		}
	}
	if err := lines.Err(); err != nil {
		return r, err
	}
	return r, fmt.Errorf("llama-server: the answer broke off: %w", io.ErrUnexpectedEOF)
}
