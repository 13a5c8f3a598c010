package openai

import (
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// response is an answer in the words of OpenAI's newer API.
type response struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Created    int64  `json:"created_at"`
	Status     string `json:"status"` // in_progress, completed, incomplete or failed
	Error      any    `json:"error"`
	Incomplete *struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
	Instructions *string           `json:"instructions"`
	MaxTokens    *fields.Whole     `json:"max_output_tokens"`
	Model        string            `json:"model"`
	Output       []any             `json:"output"`
	Parallel     bool              `json:"parallel_tool_calls"`
	Previous     *string           `json:"previous_response_id"`
	Reasoning    map[string]any    `json:"reasoning"`
	Store        bool              `json:"store"`
	Temperature  float32           `json:"temperature"`
	Text         map[string]any    `json:"text"`
	ToolChoice   json.RawMessage   `json:"tool_choice"`
	Tools        []responseTool    `json:"tools"`
	TopP         float32           `json:"top_p"`
	Truncation   string            `json:"truncation"`
	Usage        *responseUsage    `json:"usage"`
	User         *string           `json:"user"`
	Metadata     map[string]string `json:"metadata"`
	Checked      *bool             `json:"schema_checked,omitempty"`
}

type responseUsage struct {
	Input   int `json:"input_tokens"`
	Details struct {
		Cached  int `json:"cached_tokens"`
		Written int `json:"cache_write_tokens"` // 0: writing the cache costs nobody anything
	} `json:"input_tokens_details"`
	Output        int `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total int `json:"total_tokens"`
}

// Items of an answer.
type (
	responseMessage struct {
		Type    string         `json:"type"`
		ID      string         `json:"id"`
		Status  string         `json:"status"`
		Role    string         `json:"role"`
		Content []responseText `json:"content"`
	}
	responseText struct {
		Type        string         `json:"type"`
		Text        string         `json:"text"`
		Annotations []any          `json:"annotations"`
		Logprobs    []TokenLogprob `json:"logprobs"`
	}
	responseCall struct {
		Type      string `json:"type"`
		ID        string `json:"id"`
		CallID    string `json:"call_id"`
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
		Status    string `json:"status"`
	}
	responseThought struct {
		Type    string                `json:"type"`
		ID      string                `json:"id"`
		Summary []any                 `json:"summary"`
		Content []responseThoughtText `json:"content"`
		Status  string                `json:"status"`
	}
	responseThoughtText struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
)

// responseEvent is any event of a stream.
type responseEvent struct {
	Type         string         `json:"type"`
	Sequence     int            `json:"sequence_number"`
	Response     *response      `json:"response,omitempty"`
	OutputIndex  *int           `json:"output_index,omitempty"`
	ItemID       string         `json:"item_id,omitempty"`
	Item         any            `json:"item,omitempty"`
	ContentIndex *int           `json:"content_index,omitempty"`
	Part         any            `json:"part,omitempty"`
	Delta        string         `json:"delta,omitempty"`
	Text         *string        `json:"text,omitempty"`
	Arguments    *string        `json:"arguments,omitempty"`
	Logprobs     []TokenLogprob `json:"logprobs,omitzero"`
	Message      string         `json:"message,omitempty"` // of an error, as the next two
	Code         *string        `json:"code,omitempty"`
	Param        *string        `json:"param,omitempty"`
}

// InputTokens is the answer to POST /v1/responses/input_tokens.
type InputTokens struct {
	Object string `json:"object"`
	Tokens int    `json:"input_tokens"`
}
