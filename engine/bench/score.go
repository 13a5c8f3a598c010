package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
)

// textWindow is the length of the pieces into which a text is cut, in tokens: llama-perplexity's
// default.
const textWindow = 512

// kvTypes are the types of a KV cache by name.
var kvTypes = map[string]ggml.Type{
	"f32": ggml.F32, "f16": ggml.F16, "bf16": ggml.BF16, "q8_0": ggml.Q8_0, "q5_1": ggml.Q5_1,
	"q5_0": ggml.Q5_0, "q4_1": ggml.Q4_1, "q4_0": ggml.Q4_0,
}

// cacheParams are the parameters of a context whose cache has a type. As in the engine, an F32
// cache goes without fused attention, which rounds keys and values to F16 first.
func cacheParams(kv string) (p llama.ContextParams, err error) {
	t, ok := kvTypes[kv]
	if !ok {
		return p, fmt.Errorf("%w: unknown type %q of the KV cache; there are f32, f16, bf16, q8_0, q5_1, q5_0, q4_1 and q4_0",
			engine.ErrRequest, kv)
	}
	p = llama.ContextParams{TypeK: t, TypeV: t, ExactCache: true}
	if t == ggml.F32 {
		p.FlashAttention = llama.FlashOff
	}
	return p, nil
}

// A place is told the logits after a token, and the token that follows.
type place func(logits []float32, next llama.Token) error

// reader feeds a language model with tokens and rows of pictures, one sequence.
type reader struct {
	lm     *llama.Model
	lc     *llama.Context
	tokens *llama.Batch
	rows   *llama.Batch // nil until rows are fed
	pos    llama.Pos
	all    bool // the output of every entry is computed, whether it is looked at or not
}

// newReader makes a context of so many cells. collector may be nil.
func newReader(lm *llama.Model, cells int, kv string, threads int,
	collector *llama.Collector) (*reader, error) {
	p, err := cacheParams(kv)
	if err != nil {
		return nil, err
	}
	n := min(cells, textWindow)
	p.NCtx, p.NBatch, p.NUBatch, p.Threads, p.Collector = cells, n, n, threads, collector
	lc, err := llama.NewContext(lm, p)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return &reader{lm: lm, lc: lc, tokens: llama.NewTokenBatch(n, 1), all: collector != nil}, nil
}

func (r *reader) close() {
	r.tokens.Close()
	if r.rows != nil {
		r.rows.Close()
	}
	r.lc.Close()
}

// clear begins a new sequence.
func (r *reader) clear() error {
	r.pos = 0
	return r.lc.Memory().Clear(false)
}

// back forgets what came after a position. It reports whether the model can do that.
func (r *reader) back(pos llama.Pos) bool {
	if r.lc.Memory().SeqRemove(0, pos, -1) != nil {
		return false
	}
	r.pos = pos
	return true
}

// feed reads tokens. see, if not nil, is called for each token from number from on, with the logits
// after it.
func (r *reader) feed(ctx context.Context, tokens []llama.Token, from int,
	see func(i int, logits []float32) error) error {
	for start := 0; start < len(tokens); start += r.tokens.Cap() {
		part := tokens[start:min(start+r.tokens.Cap(), len(tokens))]
		r.tokens.Clear()
		for i, t := range part {
			if err := r.tokens.Add(t, r.pos, r.all || see != nil && start+i >= from,
				0); err != nil {
				return err
			}
			r.pos++
		}
		if err := r.lc.Decode(ctx, r.tokens); err != nil {
			return stopped(ctx, err)
		}
		for i := range part {
			if see == nil || start+i < from {
				continue
			}
			logits, err := r.lc.Logits(i)
			if err != nil {
				return err
			}
			if err := see(start+i, logits); err != nil {
				return err
			}
		}
	}
	return nil
}

// feedRows reads the image tokens of a picture.
func (r *reader) feedRows(ctx context.Context, rows []float32) error {
	width := r.lm.NEmbdInp()
	if r.rows == nil {
		r.rows = llama.NewEmbeddingBatch(r.tokens.Cap(), 1, width, 1)
	}
	for len(rows) > 0 {
		r.rows.Clear()
		for len(rows) > 0 && r.rows.Len() < r.rows.Cap() {
			if err := r.rows.AddEmbedding(rows[:width], []llama.Pos{r.pos}, r.all, 0); err != nil {
				return err
			}
			r.pos++
			rows = rows[width:]
		}
		if err := r.lc.Decode(ctx, r.rows); err != nil {
			return stopped(ctx, err)
		}
	}
	return nil
}

// stopped is ctx's error where that is why a decode ended.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, llama.ErrAborted) {
		return ctx.Err()
	}
	return err
}

// windowOf is the length of the pieces of text for a model.
func windowOf(lm *llama.Model) int {
	if train := lm.NCtxTrain(); train > 0 {
		return min(textWindow, train)
	}
	return textWindow
}

// maxText bounds a text, in bytes: tokenizers take no more.
const maxText = 1 << 30

// readText reads a file of text.
func readText(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bench: the text: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("bench: the text: %s: %w", path, err)
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: the text %s is larger than %d bytes: give a part of it",
			engine.ErrRequest, path, maxText)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%w: %s is no text in UTF-8", engine.ErrRequest, path)
	}
	return text, nil
}

// windowsOf cuts a text into windows, at most limit of them, all if it is 0. The first token of
// each is left to be replaced by the one that begins a text, where the model wants one.
func windowsOf(lm *llama.Model, text string, limit int) (windows [][]llama.Token, err error) {
	tokens, err := lm.Vocab().Tokenize(text, true, false)
	if err != nil {
		return nil, fmt.Errorf("bench: the text: %w", err)
	}
	window := windowOf(lm)
	n := len(tokens) / window
	if n < 2 {
		return nil, fmt.Errorf(
			"%w: the text has %d tokens, and %d are needed at least: give a longer text",
			engine.ErrRequest, len(tokens), 2*window)
	}
	if limit > 0 {
		n = min(n, limit)
	}
	for i := range n {
		windows = append(windows, tokens[i*window:(i+1)*window])
	}
	return windows, nil
}

// begun is a window that begins as a text does.
func begun(lm *llama.Model, window []llama.Token) []llama.Token {
	part := slices.Clone(window)
	if lm.Vocab().AddBOS() {
		part[0] = lm.Vocab().BOS()
	}
	return part
}

// scoreText runs a text through a model as llama-perplexity does: in windows that begin with the
// token that begins a text, where the model wants one; places in the second half of each window
// count. At most limit windows are run, all if it is 0.
func scoreText(ctx context.Context, lm *llama.Model, text, kv string, threads, limit int, see place,
	progress func(done, total int)) error {
	windows, err := windowsOf(lm, text, limit)
	if err != nil {
		return err
	}
	r, err := newReader(lm, windowOf(lm), kv, threads, nil)
	if err != nil {
		return err
	}
	defer r.close()
	for w, window := range windows {
		progress(w, len(windows))
		if err := r.clear(); err != nil {
			return err
		}
		err := r.feed(ctx, begun(lm, window), len(window)/2, func(i int, logits []float32) error {
			if i == len(window)-1 {
				return nil
			}
			return see(logits, window[i+1])
		})
		if err != nil {
			return err
		}
	}
	return nil
}
