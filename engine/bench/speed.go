package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
)

// Speed is how fast a model is on a number of threads, with a type of the KV cache and a size of
// micro-batches. Times are in milliseconds.
type Speed struct {
	// LoadMS is the time until model and projector are ready, from files that the system has read
	// before.
	LoadMS float64 `json:"load_ms"`
	// The stages of a question about a photo, through the engine; null without a projector.
	DecodeImageMS *Sample `json:"decode_image_ms"`
	PreprocessMS  *Sample `json:"preprocess_ms"`
	EncodeMS      *Sample `json:"encode_ms"`
	PrefillMS     *Sample `json:"prefill_ms"` // of picture and question
	TTFTMS        *Sample `json:"ttft_ms"`    // from the call to the first token
	PromptTokens  int     `json:"prompt_tokens,omitempty"`
	// PP512 and TG128 are llama-bench's: tokens a second of a prompt of 512 random tokens into an
	// empty cache, and of 128 single ones.
	PP512 *Sample `json:"pp512"`
	TG128 *Sample `json:"tg128"`

	ModelType string `json:"model_type,omitempty"` // as libllama calls it, "llama 7B Q4_K - Medium"
	// TokensOf names the cell that PP512 and TG128 were measured for, if it is another: the
	// projector takes no part in them.
	TokensOf string `json:"tokens_of,omitempty"`
	// Runs is the number of processes that measured, one after the other; 0 stands for one.
	Runs int `json:"runs,omitempty"`

	// highest resident memory of the process that answered
	PeakBytes   int64    `json:"peak_bytes"`
	KVBytes     int64    `json:"kv_bytes"`     // of a context of so many tokens
	Context     int      `json:"context"`      // in tokens
	WeightBytes int64    `json:"weight_bytes"` // of the language model, as libllama keeps them
	TowerBytes  int64    `json:"tower_bytes"`  // of the tower and projector, as they are packed
	PromptJ     *float64 `json:"prompt_joules_per_token,omitempty"`
	// of the processor packages; where the machine tells
	GenerateJ *float64 `json:"generate_joules_per_token,omitempty"`
}

// runs is the number of processes that measured it, 0 of none.
func (s *Speed) runs() int {
	switch {
	case s == nil:
		return 0
	case s.Runs == 0:
		return 1
	}
	return s.Runs
}

// add takes in what another process measured.
func (s *Speed) add(other *Speed) {
	s.Runs = s.runs() + other.runs()
	if other.PP512 != nil {
		s.TokensOf = ""
	}
	s.LoadMS = min(s.LoadMS, other.LoadMS)
	s.PeakBytes = max(s.PeakBytes, other.PeakBytes)
	for _, pair := range []struct {
		to  **Sample
		add *Sample
	}{
		{&s.DecodeImageMS, other.DecodeImageMS}, {&s.PreprocessMS, other.PreprocessMS},
		{&s.EncodeMS, other.EncodeMS}, {&s.PrefillMS, other.PrefillMS},
		{&s.TTFTMS, other.TTFTMS}, {&s.PP512, other.PP512}, {&s.TG128, other.TG128},
	} {
		*pair.to = (*pair.to).with(pair.add)
	}
}

// shareTokens takes over the tests of llama-bench, and what else has nothing to do with projectors,
// from a cell that differs in its projector alone.
func (s *Speed) shareTokens(donor *Cell) {
	d := donor.Speed
	s.TokensOf = donor.Name()
	s.PP512, s.TG128, s.PromptJ, s.GenerateJ = d.PP512, d.TG128, d.PromptJ, d.GenerateJ
	s.WeightBytes, s.KVBytes, s.ModelType = d.WeightBytes, d.KVBytes, d.ModelType
}

// sound reports whether a speed from a file has all its samples: those of the question are there
// together or not at all. A speed that was not measured is sound.
func (s *Speed) sound() bool {
	if s == nil {
		return true
	}
	stages := []*Sample{s.DecodeImageMS, s.PreprocessMS, s.EncodeMS, s.PrefillMS, s.TTFTMS}
	for _, stage := range stages {
		if (stage == nil) != (stages[0] == nil) || stage != nil && !stage.sound() {
			return false
		}
	}
	return s.PP512.sound() && s.PP512.positive() && s.TG128.sound() && s.TG128.positive()
}

// The tests of llama-bench: tokens of a prompt, and single ones.
const (
	PromptTokens   = 512
	GenerateTokens = 128
)

// llamaBench runs both tests of llama-bench with its choices: random tokens, nothing sampled, a run
// before that does not count, then reps that do.
func llamaBench(ctx context.Context, lm *llama.Model, kv string, threads, batch, reps int, s *Speed,
	step func(next string)) error {
	p, err := cacheParams(kv)
	if err != nil {
		return err
	}
	meter := newEnergyMeter("/sys/class/powercap")
	for _, test := range []struct {
		name   string
		n, per int // tokens, and how many a decode
		to     **Sample
		joules **float64
	}{
		{"pp512", PromptTokens, PromptTokens, &s.PP512, &s.PromptJ}, {"tg128", GenerateTokens, 1,
			&s.TG128, &s.GenerateJ},
	} {
		p.NCtx, p.NBatch, p.NUBatch, p.Threads = test.n, 2048, batch, threads
		lc, err := llama.NewContext(lm, p)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		warm := test.n
		if test.per == 1 {
			warm = 1
		}
		step(test.name + ", warming up")
		_, err = timeTokens(ctx, lc, warm, test.per)
		var values []float64
		before := meter.read()
		for i := 0; i < reps && err == nil; i++ {
			step(fmt.Sprintf("%s, %d of %d", test.name, i+1, reps))
			var took time.Duration
			took, err = timeTokens(ctx, lc, test.n, test.per)
			values = append(values, float64(test.n)/took.Seconds())
		}
		if joules, ok := meter.joules(before, meter.read()); ok && err == nil {
			perToken := joules / float64(reps*test.n)
			*test.joules = &perToken
		}
		lc.Close()
		if err != nil {
			return stopped(ctx, err)
		}
		*test.to = sampleOf(values)
	}
	return nil
}

// timeTokens decodes n random tokens, some at a time, into an empty cache.
func timeTokens(ctx context.Context, lc *llama.Context, n, per int) (time.Duration, error) {
	b := llama.NewTokenBatch(per, 1)
	defer b.Close()
	if err := lc.Memory().Clear(false); err != nil {
		return 0, err
	}
	vocab := lc.Model().Vocab()
	start := time.Now()
	for pos := 0; pos < n; pos += per {
		b.Clear()
		for i := range min(per, n-pos) {
			token := llama.Token(rand.IntN(vocab.N()))
			if pos+i == 0 && vocab.AddBOS() {
				token = vocab.BOS()
			}
			if err := b.Add(token, llama.Pos(pos+i), i == min(per, n-pos)-1, 0); err != nil {
				return 0, err
			}
		}
		if err := lc.Decode(ctx, b); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// The photo that a question is asked about, and the question.
const (
	photoWidth, photoHeight = 1024, 768
	photoQuestion           = "What is in this picture?"
)

// askEngine asks about a photo, reps times and once before that does not count, each time about
// another one, so that no cache helps.
func askEngine(ctx context.Context, j *Job, s *Speed, step func(next string)) error {
	e, err := engine.New(engine.Options{Threads: j.Threads})
	if err != nil {
		return err
	}
	defer e.Close()
	step("loading")
	start := time.Now()
	m, err := e.Load(ctx, engine.ModelSpec{Model: j.Model, Projector: j.Projector,
		VisionPrecision: cmp.Or(j.VisionPrecision, "auto"),
		Context:         j.Context, CacheType: j.KV, Parallel: 1, RPC: j.RPC, Device: j.Device})
	if err != nil {
		return err
	}
	s.LoadMS = milliseconds(time.Since(start))
	s.Context = m.Info().Context
	if j.Projector == "" {
		return nil
	}
	var decode, preprocess, encode, prefill, first []float64
	for i := range j.Reps + 1 {
		step(fmt.Sprintf("a question about a photo, %d of %d", i, j.Reps))
		file, err := photoFile(photoWidth-2*i, photoHeight)
		if err != nil {
			return err
		}
		var result *engine.Result
		request := engine.Request{
			Messages: []engine.Message{engine.User(engine.Picture(&engine.Image{Name: "photo.jpg",
				Data: file}), engine.Text(photoQuestion))},
			MaxTokens: 4, Fresh: true,
		}
		for event, err := range m.Generate(ctx, request) {
			if err != nil {
				return err
			}
			if event.Done != nil {
				result = event.Done
			}
		}
		if i == 0 || result == nil {
			continue
		}
		t := result.Timings
		s.PromptTokens = result.Usage.Prompt
		decode, preprocess, encode = append(decode, milliseconds(t.DecodeImage)),
			append(preprocess, milliseconds(t.Preprocess)), append(encode, milliseconds(t.Encode))
		prefill, first = append(prefill, milliseconds(t.Prefill)),
			append(first, milliseconds(t.FirstToken))
	}
	s.DecodeImageMS, s.PreprocessMS, s.EncodeMS = sampleOf(decode), sampleOf(preprocess),
		sampleOf(encode)
	s.PrefillMS, s.TTFTMS = sampleOf(prefill), sampleOf(first)
	return nil
}
