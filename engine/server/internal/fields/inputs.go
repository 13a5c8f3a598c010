package fields

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Input is what a request gives a model to read as it stands: a text, or tokens.
type Input struct {
	Text   string
	Tokens []engine.Token // nil for a text
}

// Inputs reads a field that is a text, a list of tokens, or a list of at most so many of these. A
// missing field gives none.
func Inputs(raw json.RawMessage, param string, most int) ([]Input, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	wrong := failure.Wrong(param, "is neither a text nor a list of texts or of tokens")
	if raw[0] != '[' {
		one, ok := ReadInput(raw)
		if !ok {
			return nil, wrong
		}
		return []Input{one}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, wrong
	}
	// numbers: the list is one input
	if len(list) > 0 && bytes.IndexByte([]byte(`"[{n`), list[0][0]) < 0 {
		one, ok := ReadInput(raw)
		if !ok {
			return nil, wrong
		}
		return []Input{one}, nil
	}
	if len(list) == 0 || len(list) > most {
		return nil, failure.Wrong(param, "has %d entries; give 1 to %d", len(list), most)
	}
	out := make([]Input, len(list))
	for i, x := range list {
		var ok bool
		if out[i], ok = ReadInput(x); !ok {
			return nil, failure.Field(param,
				"entry %d of %s is neither a text nor a list of tokens",
				i+1, param)
		}
	}
	return out, nil
}

// ReadInput reads a text or a list of tokens.
func ReadInput(data []byte) (in Input, ok bool) {
	if data[0] == '"' {
		return in, json.Unmarshal(data, &in.Text) == nil
	}
	var numbers []Whole
	if data[0] != '[' || json.Unmarshal(data, &numbers) != nil ||
		bytes.Contains(data, []byte("null")) {
		return in, false
	}
	in.Tokens = make([]engine.Token, len(numbers))
	for i, n := range numbers {
		// beyond is in no vocabulary, as the engine will say
		in.Tokens[i] = engine.Token(min(max(n, math.MinInt32), math.MaxInt32))
	}
	return in, true
}

// Empty reports whether there is nothing to read.
func (in *Input) Empty() bool { return in.Text == "" && len(in.Tokens) == 0 }
