package fields

import (
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Options holds what a request of Ollama's API chooses, in Ollama's names. A model's manifest
// recommends values for most of it, also for requests of other APIs.
type Options struct {
	Sampling engine.Sampling
	Stop     []string
	Predict  int           // most tokens of the answer; 0 and less for no limit
	Context  int           // the length asked for; 0 for none
	Keep     int           // tokens at the start of a prompt that stay where it is cut
	Pictures engine.Budget // image tokens of each
	Threads  int           // the most that compute the answer; 0 for no limit
	Layers   int           // of the model on devices, as num_gpu; negative for the usual
	// tokens that stay when the answer moves through the context, as engine.Request.Keep
	Shifted int
}

// NewOptions returns what Ollama takes before any choice.
func NewOptions() *Options {
	return &Options{Sampling: engine.Sampling{Temperature: 0.8, TopK: 40, TopP: 0.9,
		RepeatPenalty: 1, PenaltyLastN: 64}, Keep: 4, Layers: -1}
}

// OfModel takes over what the model's manifest recommends.
func (o *Options) OfModel(p store.Params) {
	s := &o.Sampling
	set(&s.Temperature, p.Temperature)
	set(&s.TopK, p.TopK)
	set(&s.TopP, p.TopP)
	set(&s.MinP, p.MinP)
	set(&s.TypicalP, p.TypicalP)
	set(&s.RepeatPenalty, p.RepeatPenalty)
	set(&s.FrequencyPenalty, p.FrequencyPenalty)
	set(&s.PresencePenalty, p.PresencePenalty)
	set(&s.PenaltyLastN, p.RepeatLastN)
	set(&o.Predict, p.MaxTokens)
	if p.Seed != nil && *p.Seed >= 0 {
		seed := uint32(*p.Seed)
		s.Seed = &seed
	}
	o.Stop = slices.DeleteFunc(slices.Clone(p.Stop), func(text string) bool { return text == "" })
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Names of options that choose how a model is loaded, which is the operator's business here, or
// that have no meaning for this engine. They are passed over, as Ollama passes over names that it
// does not know.
//
//	num_batch main_gpu use_mmap low_vram f16_kv numa vocab_only use_mlock
//	penalize_newline tfs_z mirostat*

const (
	// maxThreads is the most threads that a request may ask for. More than there are compute
	// nothing faster, and are not made.
	maxThreads = 1024
	// leastContext is the shortest context that a request can ask for, as in Ollama.
	leastContext = 4
	// endlessFactor is how many context lengths an answer without a limit can have, as in Ollama.
	endlessFactor = 10
)

// OfRequest takes over what a request chooses. Errors name the option that is wrong.
func (o *Options) OfRequest(options map[string]any) error {
	if err := checkNoDemands(options); err != nil {
		return err
	}
	s := &o.Sampling
	for _, f := range numbersOf(s, &Sampling{}) {
		if x, given, err := option(options, f.name, f.ollama); err != nil {
			return err
		} else if given {
			*f.to = float32(x)
		}
	}
	seed := -1
	for _, f := range []struct {
		name string
		to   *int
		bounds
	}{
		{"top_k", &s.TopK, bounds{-1, math.MaxInt32}},
		{"repeat_last_n", &s.PenaltyLastN, bounds{-1, math.MaxInt32}},
		{"num_predict", &o.Predict, bounds{-2, math.MaxInt32}},
		{"num_ctx", &o.Context, bounds{0, 1 << 24}},
		{"num_keep", &o.Keep, bounds{-1, math.MaxInt32}},
		{"num_thread", &o.Threads, bounds{0, maxThreads}},
		{"num_gpu", &o.Layers, bounds{-1, math.MaxInt32}},
		{"seed", &seed, bounds{math.MinInt64, math.MaxInt64}},
		{"image_min_tokens", &o.Pictures.Min, bounds{0, maxImageTokens}},
		{"image_max_tokens", &o.Pictures.Max, bounds{0, maxImageTokens}},
	} {
		x, given, err := option(options, f.name, f.bounds)
		switch {
		case err != nil:
			return err
		case !given:
			continue
		case x != math.Trunc(x):
			return failure.Field(f.name, "the option %s is %s; give a whole number", f.name,
				decimal(x))
		}
		*f.to = int(x)
	}
	if o.Pictures.Max > 0 && o.Pictures.Min > o.Pictures.Max {
		return failure.Field("image_min_tokens",
			"the option image_min_tokens is %d, above image_max_tokens, which is %d",
			o.Pictures.Min, o.Pictures.Max)
	}
	if seed >= 0 {
		n := uint32(seed)
		s.Seed = &n
	}
	if options["num_keep"] != nil {
		o.Shifted = o.Keep
	}
	return o.readStop(options["stop"])
}

// option reads a number among options, and whether it is there.
func option(options map[string]any, name string, b bounds) (x float64, given bool, err error) {
	v := options[name]
	if v == nil {
		return 0, false, nil
	}
	x, ok := v.(float64)
	if text, is := v.(string); is { // as Modelfiles and forms have them
		x, ok = parseNumber(text)
	}
	if !ok {
		return 0, false, failure.Field(name, "the option %s is no number", name)
	}
	if !(x >= b.least && x <= b.most) {
		return 0, false, outside(name, "the option "+name, x, b)
	}
	return x, true, nil
}

// readStop reads the texts that end an answer: a list, or one text.
func (o *Options) readStop(v any) error {
	switch v := v.(type) {
	case nil:
	case string:
		o.Stop = []string{v}
	case []any:
		o.Stop = nil
		for _, x := range v {
			text, ok := x.(string)
			if !ok {
				return failure.Field("stop", "the option stop holds something that is no text")
			}
			o.Stop = append(o.Stop, text)
		}
	default:
		return failure.Field("stop", "the option stop is no list of texts")
	}
	if len(o.Stop) > maxStops {
		return failure.Field("stop", "the option stop has %d texts; give %d at most", len(o.Stop),
			maxStops)
	}
	if slices.Contains(o.Stop, "") {
		return failure.Field("stop", "the option stop holds an empty text")
	}
	return nil
}

// Apply makes the options part of a request to a model with the given context length.
func (o *Options) Apply(r *engine.Request, context int) {
	r.Sampling, r.Stop, r.Keep, r.ImageTokens, r.Threads = o.Sampling, o.Stop, o.Shifted,
		o.Pictures, o.Threads
	if o.Context > 0 {
		r.Context = max(o.Context, leastContext)
		context = min(context, r.Context)
	}
	s := &r.Sampling
	s.TopK = max(s.TopK, 0)
	switch {
	case s.PenaltyLastN < 0:
		s.PenaltyLastN = context
	case s.PenaltyLastN == 0: // which is off here, and the default in the engine
		withoutPenalties(s)
	}
	if r.MaxTokens = max(o.Predict, 0); r.MaxTokens == 0 && r.ContextShift {
		// an answer that moves through the context would never end by itself
		r.MaxTokens = endlessFactor * context
	}
}

// Fitting returns what may be left out of a request that is too long: all that Ollama leaves out,
// or nil, for nothing, where truncate is false.
func (o *Options) Fitting(truncate *bool) *engine.Fitting {
	if truncate != nil && !*truncate {
		return nil
	}
	keep := o.Keep
	if keep < 0 {
		keep = math.MaxInt32
	}
	return &engine.Fitting{Cut: true, Keep: keep}
}
