package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Params are the sampling parameters that a manifest recommends, and where it wants the model to
// lie, in Ollama's names. Nil is what it does not mention.
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

	// NumGPU is how many layers lie on devices: negative for all that there is room for.
	NumGPU *int `json:"num_gpu,omitempty"`
	// Device names the devices for layers, TensorSplit the share of each, and VisionDevice the one
	// for the vision tower, as engine.ModelSpec does. Ollama has no such parameters.
	Device       *string `json:"device,omitempty"`
	TensorSplit  Shares  `json:"tensor_split,omitempty"`
	VisionDevice *string `json:"vision_device,omitempty"`
}

// Shares are in what proportion devices get layers. As text, there are commas between them: "3,1".
type Shares []float32

// ParseShares reads shares. Each is a number from 0 up.
func ParseShares(text string) (s Shares, err error) {
	const most = 256 // devices
	for part := range strings.SplitSeq(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 32)
		if err != nil || math.IsInf(x, 0) || !(x >= 0) || len(s) == most {
			return nil, errors.New("give a number for each device, as 3,1")
		}
		s = append(s, float32(x))
	}
	return s, nil
}

// String implements fmt.Stringer.
func (s Shares) String() string {
	texts := make([]string, len(s))
	for i, x := range s {
		texts[i] = strconv.FormatFloat(float64(x), 'g', -1, 32)
	}
	return strings.Join(texts, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (s Shares) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseParams reads a blob of type MediaParams. Other programs write numbers as 5.0 and as "4096",
// and one text where a list is meant: what has one meaning is taken. Parameters that this package
// does not know are of no matter.
func ParseParams(data []byte) (p Params, err error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return Params{}, fmt.Errorf("store: %w: parameters: %w", ErrManifest, err)
	}
	for name, field := range map[string]any{
		"temperature": &p.Temperature, "top_k": &p.TopK, "top_p": &p.TopP, "min_p": &p.MinP,
		"typical_p":      &p.TypicalP,
		"repeat_penalty": &p.RepeatPenalty, "repeat_last_n": &p.RepeatLastN,
		"frequency_penalty": &p.FrequencyPenalty,
		"presence_penalty":  &p.PresencePenalty, "seed": &p.Seed, "num_ctx": &p.Context,
		"num_predict": &p.MaxTokens, "stop": &p.Stop, "num_gpu": &p.NumGPU, "device": &p.Device,
		"tensor_split": &p.TensorSplit, "vision_device": &p.VisionDevice,
	} {
		raw, ok := all[name]
		if !ok || string(raw) == "null" {
			continue
		}
		if err := setParam(field, raw); err != nil {
			return Params{}, fmt.Errorf("store: %w: parameter %s: %w", ErrManifest, name, err)
		}
	}
	return p, nil
}

// setParam reads a value into a pointer to one of the kinds of field that Params has.
func setParam(field any, raw json.RawMessage) error {
	switch field := field.(type) {
	case **float32:
		x, err := paramNumber(raw)
		if err != nil || math.Abs(x) > math.MaxFloat32 {
			return fmt.Errorf("%.40s is no number that it can be", raw)
		}
		v := float32(x)
		*field = &v
	case **int:
		n, err := paramInteger(raw, math.MinInt32, math.MaxInt32)
		if err != nil {
			return err
		}
		v := int(n)
		*field = &v
	case **int64:
		n, err := paramInteger(raw, math.MinInt64, math.MaxInt64)
		if err != nil {
			return err
		}
		*field = &n
	case **string:
		var v string
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("%.40s is no text", raw)
		}
		*field = &v
	case *Shares:
		v, err := ParseShares(strings.Trim(paramText(raw), "[]")) // or a list of JSON's
		if err != nil {
			return fmt.Errorf("%.40s are no shares: %w", raw, err)
		}
		*field = v
	case *[]string:
		var one string
		if json.Unmarshal(raw, &one) == nil {
			*field = []string{one}
			return nil
		}
		if err := json.Unmarshal(raw, field); err != nil {
			return fmt.Errorf("%.40s is no list of texts", raw)
		}
	}
	return nil
}

// paramText returns a number as it is written, in quotes or not.
func paramText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.TrimSpace(text)
	}
	return string(raw)
}

func paramNumber(raw json.RawMessage) (float64, error) {
	x, err := strconv.ParseFloat(paramText(raw), 64)
	if err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
		err = strconv.ErrRange
	}
	return x, err
}

func paramInteger(raw json.RawMessage, least, most int64) (int64, error) {
	if n, err := strconv.ParseInt(paramText(raw), 10, 64); err == nil && n >= least && n <= most {
		return n, nil
	}
	x, err := paramNumber(raw)
	if err != nil || x != math.Trunc(x) || x < float64(max(least, -1<<53)) ||
		x > float64(min(most, 1<<53)) {
		return 0, fmt.Errorf("%.40s is no whole number that it can be", raw)
	}
	return int64(x), nil
}

// Placement returns where the model is to lie: how many layers on devices, the devices for layers
// and for the vision tower, and the share of each; nil for what is not said.
func (p Params) Placement() (layers *int, device, visionDevice *string, split []float32) {
	return p.NumGPU, p.Device, p.VisionDevice, p.TensorSplit
}
