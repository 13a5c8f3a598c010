package server

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/eyelet-engine/eyelet/engine"
)

// sampleChoices are what OpenAI's and Anthropic's APIs let a client choose of sampling, and what
// this server adds.
type sampleChoices struct {
	Temperature      *fraction           `json:"temperature"`
	TopP             *fraction           `json:"top_p"`
	FrequencyPenalty *fraction           `json:"frequency_penalty"`
	PresencePenalty  *fraction           `json:"presence_penalty"`
	Seed             *whole              `json:"seed"`
	LogitBias        map[string]fraction `json:"logit_bias"`
	// Not of OpenAI, whose clients send them all the same.
	TopK          *whole    `json:"top_k"`
	MinP          *fraction `json:"min_p"`
	RepeatPenalty *fraction `json:"repeat_penalty"`
	RepeatLastN   *whole    `json:"repeat_last_n"`
	imageTokens
}

// apply makes the choices part of a request, over what the model recommends.
func (c *sampleChoices) apply(r *engine.Request, m *model) error {
	if err := c.imageTokens.apply(r); err != nil {
		return err
	}
	o := &ollamaOptions{sampling: engine.Sampling{Temperature: 1}}
	o.ofModel(m.params())
	s := o.sampling
	for _, x := range []struct {
		name     string
		from     *fraction
		to       *float32
		min, max fraction
	}{
		{"temperature", c.Temperature, &s.Temperature, 0, 2},
		{"top_p", c.TopP, &s.TopP, 0, 1},
		{"min_p", c.MinP, &s.MinP, 0, 1},
		{"frequency_penalty", c.FrequencyPenalty, &s.FrequencyPenalty, -2, 2},
		{"presence_penalty", c.PresencePenalty, &s.PresencePenalty, -2, 2},
		{"repeat_penalty", c.RepeatPenalty, &s.RepeatPenalty, 0.01, 10},
	} {
		if x.from == nil {
			continue
		}
		if !(*x.from >= x.min && *x.from <= x.max) {
			return refuseField(x.name, "%s is %s; give %s to %s", x.name, decimal(float64(*x.from)),
				decimal(float64(x.min)), decimal(float64(x.max)))
		}
		*x.to = float32(*x.from)
	}
	if c.TopP != nil && *c.TopP == 0 {
		s.TopK = 1 // the smallest set of tokens is the best one; 0 is all in the engine
	}
	if c.TopK != nil {
		s.TopK = int(min(max(*c.TopK, 0), math.MaxInt32))
	}
	if c.RepeatLastN != nil {
		s.PenaltyLastN = int(min(max(*c.RepeatLastN, -1), math.MaxInt32))
	}
	// which is off for clients, and the default in the engine
	if (c.RepeatLastN != nil || m.params().RepeatLastN != nil) && s.PenaltyLastN == 0 {
		s.RepeatPenalty, s.FrequencyPenalty, s.PresencePenalty = 1, 0, 0
	}
	if c.Seed != nil {
		seed := uint32(*c.Seed)
		s.Seed = &seed
	}
	for key, bias := range c.LogitBias {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 || !(bias >= -100 && bias <= 100) {
			return refuseField("logit_bias",
				"logit_bias %q: %s; give numbers of tokens, and -100 to 100", key, decimal(
					float64(bias)))
		}
		if s.LogitBias == nil {
			s.LogitBias = map[engine.Token]float32{}
		}
		s.LogitBias[engine.Token(id)] = float32(bias)
		if bias == -100 {
			s.LogitBias[engine.Token(id)] = float32(math.Inf(-1))
		}
	}
	r.Sampling = s
	r.Stop = append(r.Stop, o.stop...)
	if r.MaxTokens == 0 {
		r.MaxTokens = max(o.predict, 0)
	}
	return nil
}

// maxTokens checks a limit of an answer.
func maxTokens(r *engine.Request, name string, n *whole) error {
	if n == nil {
		return nil
	}
	if *n < 1 || *n > 1<<30 {
		return refuseField(name, "%s is %d; give 1 or more", name, *n)
	}
	r.MaxTokens = int(*n)
	return nil
}

// texts is a field that is a text or a list of texts.
type texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *texts) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		*t = make(texts, 1)
		return json.Unmarshal(data, &(*t)[0])
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// maxTopLogprobs bounds the other tokens whose probabilities come with each token of an answer.
const maxTopLogprobs = 20

func checkTopLogprobs(param string, n whole) error {
	if n < 0 || n > maxTopLogprobs {
		return refuseField(param, "%s is %d; give 0 to %d", param, n, maxTopLogprobs)
	}
	return nil
}

func checkStops(param string, stops texts) error {
	if len(stops) > maxStops {
		return refuseField(param, "%s has %d texts; give %d at most", param, len(stops), maxStops)
	}
	for _, s := range stops {
		if s == "" {
			return refuseField(param, "%s has an empty text, at which every answer would end",
				param)
		}
	}
	return nil
}

// openaiFunction is a function in a list of tools.
type openaiFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

// openaiChoice makes tool_choice part of a request.
func openaiChoice(r *engine.Request, choice json.RawMessage, parallel *bool) error {
	r.SerialTools = parallel != nil && !*parallel
	choice = bytes.TrimSpace(choice)
	if len(choice) == 0 || string(choice) == "null" {
		return nil
	}
	if choice[0] == '"' {
		switch string(choice) {
		case `"auto"`:
		case `"none"`:
			r.ToolChoice = engine.ToolsNone
		case `"required"`:
			r.ToolChoice = engine.ToolsRequired
		default:
			return refuseField("tool_choice",
				"tool_choice is %.40s; give none, auto, required or a function", choice)
		}
		return nil
	}
	var named struct {
		Type     string
		Name     string
		Function struct{ Name string }
		allowedTools
		Allowed *allowedTools `json:"allowed_tools"` // in chat completions
	}
	err := json.Unmarshal(choice, &named)
	if err == nil && named.Type == "allowed_tools" {
		if named.Allowed == nil {
			named.Allowed = &named.allowedTools
		}
		return named.Allowed.apply(r)
	}
	if err != nil || named.Type != "function" || named.Name+named.Function.Name == "" {
		return refuseField("tool_choice",
			`tool_choice names no function; give {"type": "function", "function": {"name": …}}`)
	}
	r.ToolName = named.Name + named.Function.Name
	return nil
}

// allowedTools narrows the tools that may be called.
type allowedTools struct {
	Mode  string
	Tools []struct {
		Type     string
		Name     string
		Function struct{ Name string }
	}
}

// apply leaves the allowed tools in a request.
func (a *allowedTools) apply(r *engine.Request) error {
	switch a.Mode {
	case "", "auto":
	case "required":
		r.ToolChoice = engine.ToolsRequired
	default:
		return refuseField("tool_choice", "tool_choice.mode is %.40q; give auto or required",
			a.Mode)
	}
	var tools []engine.Tool
	for _, t := range a.Tools {
		name := t.Name + t.Function.Name
		i := slices.IndexFunc(r.Tools, func(tool engine.Tool) bool { return tool.Name == name })
		if i < 0 {
			return refuseField("tool_choice",
				"tool_choice allows the tool %.60q, which is not among tools", name)
		}
		tools = append(tools, r.Tools[i])
	}
	if len(tools) == 0 {
		return refuseField("tool_choice",
			"tool_choice allows no tool; name some of tools, or give none")
	}
	r.Tools = tools
	return nil
}
