package server

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/eyelet-engine/eyelet/engine"
)

// rawInput is what a request gives a model to read as it stands: a text, or tokens.
type rawInput struct {
	text   string
	tokens []engine.Token // nil for a text
}

// rawInputs reads a field that is a text, a list of tokens, or a list of these. A missing one gives
// none.
func rawInputs(raw json.RawMessage, param string, most int) ([]rawInput, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	wrong := refuseField(param, "%s is neither a text nor a list of texts or of tokens", param)
	if raw[0] != '[' {
		one, ok := readRaw(raw)
		if !ok {
			return nil, wrong
		}
		return []rawInput{one}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, wrong
	}
	// numbers: the list is one input
	if len(list) > 0 && bytes.IndexByte([]byte(`"[{n`), list[0][0]) < 0 {
		one, ok := readRaw(raw)
		if !ok {
			return nil, wrong
		}
		return []rawInput{one}, nil
	}
	if len(list) == 0 || len(list) > most {
		return nil, refuseField(param, "%s has %d entries; give 1 to %d", param, len(list), most)
	}
	out := make([]rawInput, len(list))
	for i, x := range list {
		var ok bool
		if out[i], ok = readRaw(x); !ok {
			return nil, refuseField(param, "entry %d of %s is neither a text nor a list of tokens",
				i+1, param)
		}
	}
	return out, nil
}

// readRaw reads a text or a list of tokens.
func readRaw(data []byte) (in rawInput, ok bool) {
	if data[0] == '"' {
		return in, json.Unmarshal(data, &in.text) == nil
	}
	var numbers []whole
	if data[0] != '[' || json.Unmarshal(data, &numbers) != nil ||
		bytes.Contains(data, []byte("null")) {
		return in, false
	}
	in.tokens = make([]engine.Token, len(numbers))
	for i, n := range numbers {
		// beyond is in no vocabulary, as the engine will say
		in.tokens[i] = engine.Token(min(max(n, math.MinInt32), math.MaxInt32))
	}
	return in, true
}

// empty reports whether there is nothing to read.
func (in *rawInput) empty() bool { return in.text == "" && len(in.tokens) == 0 }
