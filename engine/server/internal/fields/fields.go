package fields

import (
	"bytes"
	"encoding/json"
	"maps"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Missing reports whether a field is absent, null or an empty text.
func Missing(raw []byte) bool {
	return len(raw) == 0 || string(raw) == "null" || string(raw) == `""`
}

// String returns the text of a JSON string, and whether raw is one.
func String(raw json.RawMessage) (text string, ok bool) {
	return text, json.Unmarshal(raw, &text) == nil
}

// Object returns the fields of a JSON object but for missing ones, and whether raw is an object.
func Object(raw json.RawMessage) (fields map[string]json.RawMessage, ok bool) {
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, false
	}
	maps.DeleteFunc(fields, func(_ string, v json.RawMessage) bool { return Missing(v) })
	return fields, true
}

// IsObject reports whether raw looks like a JSON object.
func IsObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
}

// Texts is a field that is a text or a list of texts.
type Texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Texts) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		*t = make(Texts, 1)
		return json.Unmarshal(data, &(*t)[0])
	}
	return json.Unmarshal(data, (*[]string)(t))
}

const (
	// maxTopLogprobs bounds the other tokens whose probabilities come with each token of an answer.
	maxTopLogprobs = 20
	// maxStops bounds the texts that every piece of an answer is compared with.
	maxStops = 64
)

// CheckTopLogprobs refuses a number of other tokens that is out of bounds.
func CheckTopLogprobs(param string, n Whole) error {
	if n < 0 || n > maxTopLogprobs {
		return failure.Wrong(param, "is %d; give 0 to %d", n, maxTopLogprobs)
	}
	return nil
}

// CheckStops refuses texts that cannot end an answer, or too many of them.
func CheckStops(param string, stops Texts) error {
	if len(stops) > maxStops {
		return failure.Wrong(param, "has %d texts; give %d at most", len(stops), maxStops)
	}
	for _, s := range stops {
		if s == "" {
			return failure.Wrong(param, "has an empty text, at which every answer would end")
		}
	}
	return nil
}

// maxTokens bounds the limits of an answer that a client can set.
const maxTokens = 1 << 30

// MaxTokens makes a limit of the answer, where it is given, part of a request.
func MaxTokens(r *engine.Request, name string, n *Whole) error {
	if n == nil {
		return nil
	}
	switch {
	case *n < 1:
		return failure.Wrong(name, "is %d; give 1 or more", *n)
	case *n > maxTokens:
		return failure.Wrong(name, "is %d; give %d at most, or leave it out", *n, maxTokens)
	}
	r.MaxTokens = int(*n)
	return nil
}

// maxImageTokens bounds the bounds that a client can set.
const maxImageTokens = 1 << 20

// lowDetail is the most image tokens of a picture whose detail is "low". OpenAI counts 85 for it,
// of its own kind; most families here make of a picture of 448 by 448 pixels 256.
const lowDetail = 256

// ImageTokens are the bounds of the image tokens of each picture, in the words of llama-server's
// flags.
type ImageTokens struct {
	Min *Whole `json:"image_min_tokens"`
	Max *Whole `json:"image_max_tokens"`
}

// Apply makes the bounds part of a request.
func (b *ImageTokens) Apply(r *engine.Request) error {
	for _, x := range []struct {
		name string
		from *Whole
		to   *int
	}{{"image_min_tokens", b.Min, &r.ImageTokens.Min}, {"image_max_tokens", b.Max,
		&r.ImageTokens.Max}} {
		if x.from == nil {
			continue
		}
		if *x.from < 0 || *x.from > maxImageTokens {
			return failure.Wrong(x.name, "is %d; give 1 to %d, or 0 for no bound", *x.from,
				maxImageTokens)
		}
		*x.to = int(*x.from)
	}
	if t := r.ImageTokens; t.Max > 0 && t.Min > t.Max {
		return failure.Wrong("image_min_tokens", "is %d, above image_max_tokens, which is %d",
			t.Min, t.Max)
	}
	return nil
}

// Detail returns what OpenAI's word for the detail of a picture means here: low bounds its tokens,
// the others leave them to the model. param names the picture in errors.
func Detail(detail, param string) (engine.Budget, error) {
	switch detail {
	case "low":
		return engine.Budget{Max: lowDetail}, nil
	case "", "auto", "high", "original":
		return engine.Budget{}, nil
	}
	return engine.Budget{}, failure.Wrong(param, "has the detail %.40q; give low, high or auto",
		detail)
}
