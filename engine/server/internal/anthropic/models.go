package anthropic

import "time"

// Model is a model as Anthropic describes it.
type Model struct {
	Type    string    `json:"type"`
	ID      string    `json:"id"`
	Name    string    `json:"display_name"`
	Created time.Time `json:"created_at"`
}

// Models is a page of the list of models.
type Models struct {
	Data  []Model `json:"data"`
	More  bool    `json:"has_more"`
	First *string `json:"first_id"`
	Last  *string `json:"last_id"`
}

// InputTokens is the answer to POST /v1/messages/count_tokens.
type InputTokens struct {
	Tokens int `json:"input_tokens"`
}
