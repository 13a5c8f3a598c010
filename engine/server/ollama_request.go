package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
)

// Requests of Ollama's API, read more gently than its own types do: pictures and numbers as clients
// write them.

// ollamaChatRequest is the body of POST /api/chat. Tools are kept as they come: the schema of
// Ollama's own type knows less.
type ollamaChatRequest struct {
	api.ChatRequest
	otherDemands
	Messages    []ollamaMessage `json:"messages"`
	KeepAlive   *keepAlive      `json:"keep_alive"`
	TopLogprobs whole           `json:"top_logprobs"`
	Tools       []struct {
		Type     string `json:"type"`
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
			Strict      bool            `json:"strict"`
		} `json:"function"`
	} `json:"tools"`
}

// form makes the form of the answer part of a request.
func (q *ollamaChatRequest) form(r *engine.Request) error {
	demands := formatDemands{q.otherDemands, q.Format}
	return demands.apply(r)
}

// ollamaGenerateRequest is the body of POST /api/generate.
type ollamaGenerateRequest struct {
	api.GenerateRequest
	otherDemands
	Images      texts      `json:"images"`
	KeepAlive   *keepAlive `json:"keep_alive"`
	TopLogprobs whole      `json:"top_logprobs"`
	Context     []whole    `json:"context"`
}

// ollamaMessage is a turn of a conversation. Its pictures are texts until [Server.ollamaPictures]
// decodes them.
type ollamaMessage struct {
	plainMessage
	Images    texts       `json:"images"`
	ToolCalls []exactCall `json:"tool_calls"`
}

// plainMessage is Ollama's message without its method of reading.
type plainMessage api.Message

// ollamaPictures decodes the pictures of a message, which has a number from 0 on, -1 where there is
// none. n counts the pictures of the request.
func (s *Server) ollamaPictures(list texts, message int, n *int) ([]api.ImageData, error) {
	param := "images"
	if message >= 0 {
		param = fmt.Sprintf("messages[%d].images", message)
	}
	var out []api.ImageData
	for _, text := range list {
		if *n++; *n > s.limits.Images {
			return nil, refuseField(param, "the request has more than %d pictures", s.limits.Images)
		}
		image, err := s.pictures.inline(text, pictureName(*n, param), param)
		if err != nil {
			return nil, err
		}
		out = append(out, image.Data)
	}
	return out, nil
}

// conversation returns the messages of a request in Ollama's own shape, pictures decoded.
func (s *Server) conversation(q *ollamaChatRequest) ([]api.Message, error) {
	out := make([]api.Message, len(q.Messages))
	n := 0
	for i, msg := range q.Messages {
		if msg.Role == "" {
			return nil, refuseField("messages",
				"message %d has no role; give system, user, assistant or tool", i+1)
		}
		images, err := s.ollamaPictures(msg.Images, i, &n)
		if err != nil {
			return nil, err
		}
		out[i] = api.Message(msg.plainMessage)
		for k := range msg.ToolCalls {
			call, err := msg.ToolCalls[k].call(
				fmt.Sprintf("messages[%d].tool_calls[%d].function.arguments", i, k))
			if err != nil {
				return nil, err
			}
			out[i].ToolCalls = append(out[i].ToolCalls, call)
		}
		out[i].Role, out[i].Images = strings.ToLower(msg.Role), images
	}
	return out, nil
}

// keepAlive is how long a model stays loaded: seconds, or a duration as "5m"; a number may be
// written as a text. Negative ones are for ever.
type keepAlive struct {
	given bool // "" and null are none
	time  time.Duration
}

// forEver is how the engine is told to keep a model.
const forEver = -1

// UnmarshalJSON implements [json.Unmarshaler].
func (k *keepAlive) UnmarshalJSON(data []byte) error {
	*k = keepAlive{}
	if string(bytes.TrimSpace(data)) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) == nil {
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
		if d, err := time.ParseDuration(text); err == nil {
			*k = keepAlive{true, d}
		}
	}
	if seconds, ok := readNumber(data); ok {
		*k = keepAlive{true, time.Duration(min(max(seconds*float64(time.Second), -1),
			math.MaxInt64/2))}
	}
	if !k.given {
		return wrongNumber(data, time.Duration(0))
	}
	if k.time < 0 {
		k.time = forEver
	}
	return nil
}

// keep is how long the model stays loaded, as the engine takes it; nil for what applies anyway.
func (k *keepAlive) keep() *time.Duration {
	if k == nil || !k.given {
		return nil
	}
	return &k.time
}

// unloads reports whether the model is to be unloaded at once.
func (k *keepAlive) unloads() bool { return k != nil && k.given && k.time == 0 }

// beforeTokens are the tokens that a request to generate goes on from.
func (q *ollamaGenerateRequest) beforeTokens() ([]engine.Token, error) {
	var tokens []engine.Token
	for _, n := range q.Context {
		if n < 0 || n > math.MaxInt32 {
			return nil, refuseField("context", "the context holds the token %d; there is none", n)
		}
		tokens = append(tokens, engine.Token(n))
	}
	return tokens, nil
}
