package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ask sends a chat completion of OpenAI's API with "stream": true.
func (s *server) ask(ctx context.Context, q question, seen func()) (reply, error) {
	body, err := json.Marshal(s.completion(q))
	if err != nil {
		return reply{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/chat/completions",
		bytes.NewReader(body))
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
		return reply{}, fmt.Errorf("%s: %s", response.Status, text)
	}
	r, err := readStream(response.Body, seen)
	r.began = began
	if err != nil {
		return r, err
	}
	return r, r.check(q)
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
			return r, fmt.Errorf("event %q: %w", data, err)
		}
		if chunk.Error != nil {
			return r, fmt.Errorf("%v", chunk.Error)
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
	return r, fmt.Errorf("the answer broke off: %w", io.ErrUnexpectedEOF)
}
