package fields

import (
	"math"
	"strconv"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Sampling holds the fields by which requests of OpenAI's and Anthropic's APIs choose how tokens
// are drawn.
type Sampling struct {
	Temperature      *Fraction           `json:"temperature"`
	TopP             *Fraction           `json:"top_p"`
	FrequencyPenalty *Fraction           `json:"frequency_penalty"`
	PresencePenalty  *Fraction           `json:"presence_penalty"`
	Seed             *Whole              `json:"seed"`
	LogitBias        map[string]Fraction `json:"logit_bias"`
	// These are no fields of OpenAI's, but clients of its API send them all the same.
	TopK          *Whole    `json:"top_k"`
	MinP          *Fraction `json:"min_p"`
	RepeatPenalty *Fraction `json:"repeat_penalty"`
	RepeatLastN   *Whole    `json:"repeat_last_n"`
	ImageTokens
}

// bounds are the least and the most that a number can be.
type bounds struct{ least, most float64 }

// number is a field that every API has under the same name, and that goes into [engine.Sampling] as
// it is.
type number struct {
	name   string
	to     *float32
	from   *Fraction // of a request of OpenAI's or Anthropic's; nil where it has none
	openai bounds    // of OpenAI's and Anthropic's requests
	ollama bounds    // of Ollama's
}

// numbersOf lists the numbers of s, and what q has for each.
func numbersOf(s *engine.Sampling, q *Sampling) []number {
	one, penalty := bounds{0, 1}, bounds{-100, 100}
	return []number{
		{"temperature", &s.Temperature, q.Temperature, bounds{0, 2}, bounds{0, 100}},
		{"top_p", &s.TopP, q.TopP, one, one},
		{"min_p", &s.MinP, q.MinP, one, one},
		{"typical_p", &s.TypicalP, nil, one, one}, // of Ollama's requests alone
		{"frequency_penalty", &s.FrequencyPenalty, q.FrequencyPenalty, bounds{-2, 2}, penalty},
		{"presence_penalty", &s.PresencePenalty, q.PresencePenalty, bounds{-2, 2}, penalty},
		{"repeat_penalty", &s.RepeatPenalty, q.RepeatPenalty, bounds{0.01, 10}, bounds{0, 100}},
	}
}

// Apply sets the request's sampling to these fields, and where one is missing to what the model
// recommends. Errors name the field that is out of its bounds.
func (c *Sampling) Apply(r *engine.Request, p store.Params) error {
	if err := c.ImageTokens.Apply(r); err != nil {
		return err
	}
	o := &Options{Sampling: engine.Sampling{Temperature: 1}}
	o.OfModel(p)
	s := &o.Sampling
	for _, x := range numbersOf(s, c) {
		if x.from == nil {
			continue
		}
		v := float64(*x.from)
		if !(v >= x.openai.least && v <= x.openai.most) {
			return outside(x.name, x.name, v, x.openai)
		}
		*x.to = float32(v)
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
	if (c.RepeatLastN != nil || p.RepeatLastN != nil) && s.PenaltyLastN == 0 {
		withoutPenalties(s)
	}
	if c.Seed != nil {
		seed := uint32(*c.Seed)
		s.Seed = &seed
	}
	if err := c.bias(s); err != nil {
		return err
	}
	r.Sampling = *s
	r.Stop = append(r.Stop, o.Stop...)
	if r.MaxTokens == 0 {
		r.MaxTokens = max(o.Predict, 0)
	}
	return nil
}

// bias reads logit_bias, in which -100 forbids a token.
func (c *Sampling) bias(s *engine.Sampling) error {
	for key, bias := range c.LogitBias {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 || !(bias >= -100 && bias <= 100) {
			return failure.Wrong("logit_bias", "%q: %s; give numbers of tokens, and -100 to 100",
				key, decimal(float64(bias)))
		}
		if s.LogitBias == nil {
			s.LogitBias = map[engine.Token]float32{}
		}
		s.LogitBias[engine.Token(id)] = float32(bias)
		if bias == -100 {
			s.LogitBias[engine.Token(id)] = float32(math.Inf(-1))
		}
	}
	return nil
}

func withoutPenalties(s *engine.Sampling) {
	s.RepeatPenalty, s.FrequencyPenalty, s.PresencePenalty = 1, 0, 0
}

// outside refuses a number that is out of its bounds; what is how the error calls the field.
func outside(name, what string, x float64, b bounds) error {
	return failure.Field(name, "%s is %s; give %s to %s", what, decimal(x), decimal(b.least),
		decimal(b.most))
}

// decimal writes x without an exponent, as 1048576 and not 1.048576e+06, unless it would have too
// many digits to be read.
func decimal(x float64) string {
	if math.Abs(x) >= 1e15 {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}
