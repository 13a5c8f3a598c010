package server

import (
	"math"
	"slices"
	"strconv"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/store"
)

// ollamaOptions are what Ollama's API lets a client choose, in its names; the values before any
// choice are Ollama's too.
type ollamaOptions struct {
	sampling engine.Sampling
	stop     []string
	predict  int // most tokens of the answer; 0 and less for no limit
	context  int // the length asked for; 0 for none
	keep     int // tokens at the start of a prompt that stay where it is cut
	pictures engine.Budget
	threads  int // the most that compute the answer; 0 for no limit
	// those that stay when the answer moves through the context, as engine.Request.Keep
	shifted int
}

func newOllamaOptions() *ollamaOptions {
	return &ollamaOptions{sampling: engine.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.9,
		RepeatPenalty: 1, PenaltyLastN: 64}, keep: 4}
}

// ofModel takes over what the model's manifest recommends.
func (o *ollamaOptions) ofModel(p store.Params) {
	s := &o.sampling
	take(&s.Temperature, p.Temperature)
	take(&s.TopK, p.TopK)
	take(&s.TopP, p.TopP)
	take(&s.MinP, p.MinP)
	take(&s.TypicalP, p.TypicalP)
	take(&s.RepeatPenalty, p.RepeatPenalty)
	take(&s.FrequencyPenalty, p.FrequencyPenalty)
	take(&s.PresencePenalty, p.PresencePenalty)
	take(&s.PenaltyLastN, p.RepeatLastN)
	take(&o.predict, p.MaxTokens)
	if p.Seed != nil && *p.Seed >= 0 {
		seed := uint32(*p.Seed)
		s.Seed = &seed
	}
	o.stop = slices.DeleteFunc(slices.Clone(p.Stop), func(text string) bool { return text == "" })
}

func take[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Names of options that choose how a model is loaded, which is the operator's business here, or
// that have no meaning for this engine. They are passed over, as Ollama passes over names that it
// does not know.
//
//	num_batch num_gpu main_gpu use_mmap low_vram f16_kv numa vocab_only use_mlock penalize_newline tfs_z mirostat*

// ofRequest takes over what a request chooses.
func (o *ollamaOptions) ofRequest(options map[string]any) error {
	if err := checkNoDemands(options); err != nil {
		return err
	}
	s := &o.sampling
	for _, f := range []struct {
		name      string
		to        *float32
		low, high float64
	}{
		{"temperature", &s.Temperature, 0, 100}, {"top_p", &s.TopP, 0, 1}, {"min_p", &s.MinP, 0, 1},
		{"typical_p", &s.TypicalP, 0, 1},
		{"repeat_penalty", &s.RepeatPenalty, 0, 100}, {"presence_penalty", &s.PresencePenalty, -100,
			100}, {"frequency_penalty", &s.FrequencyPenalty, -100, 100},
	} {
		if v, ok := options[f.name]; ok && v != nil {
			x, err := number(f.name, v, f.low, f.high)
			if err != nil {
				return err
			}
			*f.to = float32(x)
		}
	}
	seed := -1
	for _, f := range []struct {
		name      string
		to        *int
		low, high float64
	}{
		{"top_k", &s.TopK, -1, math.MaxInt32}, {"repeat_last_n", &s.PenaltyLastN, -1,
			math.MaxInt32}, {"num_predict", &o.predict, -2, math.MaxInt32},
		{"num_ctx", &o.context, 0, 1 << 24}, {"num_keep", &o.keep, -1, math.MaxInt32},
		{"num_thread", &o.threads, 0, maxThreads}, {"seed", &seed, math.MinInt64, math.MaxInt64},
		{"image_min_tokens", &o.pictures.Min, 0, maxImageTokens},
		{"image_max_tokens", &o.pictures.Max, 0, maxImageTokens},
	} {
		if v, ok := options[f.name]; ok && v != nil {
			x, err := number(f.name, v, f.low, f.high)
			if err != nil {
				return err
			}
			if x != math.Trunc(x) {
				return refuseField(f.name, "the option %s is %s; give a whole number", f.name,
					decimal(x))
			}
			*f.to = int(x)
		}
	}
	if o.pictures.Max > 0 && o.pictures.Min > o.pictures.Max {
		return refuseField("image_min_tokens",
			"the option image_min_tokens is %d, above image_max_tokens, which is %d",
			o.pictures.Min, o.pictures.Max)
	}
	if seed >= 0 {
		n := uint32(seed)
		s.Seed = &n
	}
	if v, ok := options["num_keep"]; ok && v != nil {
		o.shifted = o.keep
	}
	return o.takeStop(options["stop"])
}

// takeStop reads the texts that end an answer: a list, or one text.
func (o *ollamaOptions) takeStop(v any) error {
	switch v := v.(type) {
	case nil:
	case string:
		o.stop = []string{v}
	case []any:
		o.stop = nil
		for _, x := range v {
			text, ok := x.(string)
			if !ok {
				return refuseField("stop", "the option stop holds something that is no text")
			}
			o.stop = append(o.stop, text)
		}
	default:
		return refuseField("stop", "the option stop is no list of texts")
	}
	if len(o.stop) > maxStops {
		return refuseField("stop", "the option stop has %d texts; give %d at most", len(o.stop),
			maxStops)
	}
	if slices.Contains(o.stop, "") {
		return refuseField("stop", "the option stop holds an empty text")
	}
	return nil
}

// maxStops bounds the texts that every piece of an answer is compared with.
const maxStops = 64

func number(name string, v any, low, high float64) (float64, error) {
	x, ok := v.(float64)
	if text, is := v.(string); is { // as Modelfiles and forms have them
		x, ok = parseNumber(text)
	}
	if !ok {
		return 0, refuseField(name, "the option %s is no number", name)
	}
	if !(x >= low && x <= high) {
		return 0, refuseField(name, "the option %s is %s; give %s to %s", name, decimal(x),
			decimal(low), decimal(high))
	}
	return x, nil
}

// decimal spells x as people do: 1048576 and no 1.048576e+06, unless it has more digits than
// anybody counts.
func decimal(x float64) string {
	if math.Abs(x) >= 1e15 {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// apply makes the options part of a request to a model with the given context length.
func (o *ollamaOptions) apply(r *engine.Request, context int) {
	r.Sampling, r.Stop, r.Keep, r.ImageTokens, r.Threads = o.sampling, o.stop, o.shifted,
		o.pictures, o.threads
	if o.context > 0 {
		r.Context = max(o.context, leastContext)
		context = min(context, r.Context)
	}
	s := &r.Sampling
	s.TopK = max(s.TopK, 0)
	switch {
	case s.PenaltyLastN < 0:
		s.PenaltyLastN = context
	case s.PenaltyLastN == 0: // which is off here, and the default in the engine
		s.RepeatPenalty, s.FrequencyPenalty, s.PresencePenalty = 1, 0, 0
	}
	if r.MaxTokens = max(o.predict, 0); r.MaxTokens == 0 && r.ContextShift {
		// an answer that moves through the context would never end by itself
		r.MaxTokens = endlessFactor * context
	}
}

// maxThreads is the most threads that a request may ask for. More than there are compute nothing
// faster, and are not made.
const maxThreads = 1024

// leastContext is the shortest context that a request can ask for, as in Ollama.
const leastContext = 4

// fitting says what may be left out of a request that is too long: all that Ollama leaves out, but
// nothing where truncate is false.
func (o *ollamaOptions) fitting(truncate *bool) *engine.Fitting {
	if truncate != nil && !*truncate {
		return nil
	}
	keep := o.keep
	if keep < 0 {
		keep = math.MaxInt32
	}
	return &engine.Fitting{Cut: true, Keep: keep}
}

// endlessFactor is how many context lengths an answer without a limit can have, as in Ollama.
const endlessFactor = 10
