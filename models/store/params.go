package store

import (
	"encoding/json"
	"fmt"
)

// Params are the sampling parameters that a manifest recommends, in Ollama's names. Nil is what it does not mention.
type Params struct {
	Temperature      *float32 `json:"temperature,omitempty"`
	TopK             *int     `json:"top_k,omitempty"`
	TopP             *float32 `json:"top_p,omitempty"`
	MinP             *float32 `json:"min_p,omitempty"`
	TypicalP         *float32 `json:"typical_p,omitempty"`
	RepeatPenalty    *float32 `json:"repeat_penalty,omitempty"`
	RepeatLastN      *int     `json:"repeat_last_n,omitempty"`
	FrequencyPenalty *float32 `json:"frequency_penalty,omitempty"`
	PresencePenalty  *float32 `json:"presence_penalty,omitempty"`
	Seed             *int64   `json:"seed,omitempty"`
	Context          *int     `json:"num_ctx,omitempty"`
	MaxTokens        *int     `json:"num_predict,omitempty"` // negative for no limit
	Stop             []string `json:"stop,omitempty"`
}

// parseParams reads a blob of type MediaParams. Parameters that this package does not know are of no matter.
func parseParams(data []byte) (p Params, err error) {
	if err := json.Unmarshal(data, &p); err != nil {
		return Params{}, fmt.Errorf("store: %w: parameters: %w", ErrManifest, err)
	}
	return p, nil
}
