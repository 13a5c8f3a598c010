package llama_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

func TestDecodeInOneBatchEqualsTokenByToken(t *testing.T) {
	tokens := tokenize(t, prompt)
	want := fresh(t, tokens)
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	var got []float32
	for i, token := range tokens {
		got = decode(t, c, []llama.Token{token}, llama.Pos(i), 0)
	}
	same(t, "token by token", got, want)
}

func TestContextOptionsKeepTheAnswer(t *testing.T) {
	tokens := tokenize(t, prompt)
	want := fresh(t, tokens)
	for name, p := range map[string]llama.ContextParams{
		"small micro-batches": {NUBatch: 3},
		"an F32 cache":        {ExactCache: true},
		"a BF16 cache":        {TypeK: ggml.BF16, TypeV: ggml.BF16},
		"a Q8_0 cache": {TypeK: ggml.Q8_0, TypeV: ggml.Q8_0,
			FlashAttention: llama.FlashOn},
		"no flash attention":       {FlashAttention: llama.FlashOff},
		"a part for each sequence": {SplitKV: true, NSeqMax: 4, NCtx: 1024},
		"one thread":               {Threads: 1},
		"the model's own RoPE":     {RopeFreqBase: 10000, RopeFreqScale: 1},
	} {
		if p.NCtx == 0 {
			p.NCtx = 256
		}
		got := decode(t, newContext(t, seedModel(t), p), tokens, 0, 0)
		if argmax(got) != argmax(want) || !(distance(got, want) < 0.5) {
			t.Errorf("%s: logits differ by %v", name, distance(got, want))
		}
	}
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256, RopeFreqBase: 100})
	differ(t, "another RoPE base", decode(t, c, tokens, 0, 0), want)
}

func TestContextReportsItsSizes(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 1024, NBatch: 64, NUBatch: 32,
		NSeqMax: 4, SplitKV: true, Threads: 1, ThreadsBatch: 2})
	if c.NCtx() != 1024 || c.NCtxSeq() != 256 || c.NBatch() != 64 || c.NUBatch() != 32 ||
		c.NSeqMax() != 4 || c.Model() != seedModel(t) {
		t.Errorf("NCtx %d, a sequence %d, NBatch %d, NUBatch %d, NSeqMax %d", c.NCtx(), c.NCtxSeq(),
			c.NBatch(), c.NUBatch(), c.NSeqMax())
	}
	if a, b := c.Threads(); a != 1 || b != 2 {
		t.Errorf("threads %d, %d", a, b)
	}
	if err := c.SetThreads(2, 1); err != nil {
		t.Fatal(err)
	}
	if a, b := c.Threads(); a != 2 || b != 1 {
		t.Errorf("threads %d, %d", a, b)
	}
	if n := newContext(t, seedModel(t), llama.ContextParams{}).NCtx(); n != 2048 {
		t.Errorf("NCtx is %d by default", n)
	}
}

func TestATokenInSeveralSequencesServesAll(t *testing.T) {
	tokens := tokenize(t, prompt)
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 512, NSeqMax: 3})
	decode(t, c, tokens, 0, 0, 1, 2)
	next := tokenize(t, " red")[1:]
	want := fresh(t, slices.Concat(tokens, next))
	for s := range llama.Seq(3) {
		same(t, "a shared prefix", decode(t, c, next, llama.Pos(len(tokens)), s), want)
	}
}

func TestSequencesInOneBatchDoNotSeeEachOther(t *testing.T) {
	one, two := tokenize(t, prompt), tokenize(t, "USER: Which shape is it?")
	for _, split := range []bool{false, true} {
		c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 512, NSeqMax: 2, SplitKV: split})
		b := newBatch(t, 128, 1)
		for i := range max(len(one), len(two)) { // interleaved
			if i < len(one) {
				b.Add(one[i], llama.Pos(i), i == len(one)-1, 0)
			}
			if i < len(two) {
				b.Add(two[i], llama.Pos(i), i == len(two)-1, 1)
			}
		}
		if err := c.Decode(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		same(t, "the longer sequence", logits(t, c, b.Len()-1), fresh(t, one))
		same(t, "the shorter sequence", logits(t, c, 2*len(two)-1), fresh(t, two))
	}
}

func TestLogitsOfEveryPositionAndTheirView(t *testing.T) {
	tokens := tokenize(t, prompt)
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	b := newBatch(t, len(tokens), 1)
	for i, token := range tokens {
		b.Add(token, llama.Pos(i), i%2 == 0, 0)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	for i := range tokens {
		row, err := c.Logits(i)
		if i%2 == 1 {
			wantError(t, err, nil)
			continue
		}
		if err != nil || len(row) != vocabulary || cap(row) != vocabulary {
			t.Fatalf("entry %d: %d logits of %d, %v", i, len(row), cap(row), err)
		}
		if i%8 == 0 {
			same(t, "an inner position", row, fresh(t, tokens[:i+1]))
		}
	}
	view, _ := c.Logits(0)
	view[7] = math.MaxFloat32
	if token, err := newSampler(t, llama.Greedy()).Sample(c, 0); err != nil || token != 7 {
		t.Errorf("after changing the view the best token is %d, %v", token, err)
	}
}

// embeddingRows are the model's own token embeddings, which as input must do what the tokens do.
func embeddingRows(t testing.TB, tokens []llama.Token) [][]float32 {
	t.Helper()
	f, err := gguf.Open(seedPath)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, ok := f.Tensor("token_embd.weight")
	if !ok {
		t.Fatal("no token_embd.weight")
	}
	width := int(table.Dims[0])
	size := int(table.Size()) / int(table.Dims[1])
	rows := make([][]float32, len(tokens))
	for i, token := range tokens {
		rows[i] = make([]float32, width)
		if err := ggml.Dequantize(ggml.Type(table.Type), table.Data()[int(token)*size:][:size],
			rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func TestEmbeddingsOfTokensDoWhatTokensDo(t *testing.T) {
	tokens := tokenize(t, prompt)
	m := seedModel(t)
	c := newContext(t, m, llama.ContextParams{NCtx: 256, NUBatch: 16})
	b := llama.NewEmbeddingBatch(len(tokens), 1, m.NEmbdInp(), m.NPosPerEmbd())
	defer b.Close()
	for i, row := range embeddingRows(t, tokens) {
		if err := b.AddEmbedding(row, []llama.Pos{llama.Pos(i)}, i == len(tokens)-1,
			0); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	same(t, "embeddings", logits(t, c, len(tokens)-1), fresh(t, tokens))
}

func TestOutputEmbeddings(t *testing.T) {
	m := seedModel(t)
	tokens := tokenize(t, prompt)
	last := len(tokens) - 1
	c := newContext(t, m, llama.ContextParams{NCtx: 256, Embeddings: true,
		Pooling: llama.PoolingNone})
	decode(t, c, tokens, 0, 0)
	row, err := c.Embeddings(last)
	if err != nil || len(row) != m.NEmbdOut() || !(distance(row, make([]float32, len(row))) > 0) {
		t.Fatalf("%d values, %v", len(row), err)
	}
	want := slices.Clone(row)
	if _, err := c.SeqEmbeddings(0); err == nil {
		t.Error("a context that does not pool has a pooled embedding")
	}
	if _, err := c.Logits(last); err != nil {
		t.Errorf("no logits beside embeddings: %v", err)
	}

	pooled := newContext(t, m, llama.ContextParams{NCtx: 256, Embeddings: true,
		Pooling: llama.PoolingLast})
	b := newBatch(t, 64, 1)
	for i, token := range tokens {
		b.Add(token, llama.Pos(i), true, 0)
	}
	if err := pooled.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	got, err := pooled.SeqEmbeddings(0)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pooling the last token", got, want)
	_, err = pooled.Embeddings(last)
	wantError(t, err, nil)
	_, err = pooled.Logits(last)
	wantError(t, err, nil)
	_, err = newSampler(t, llama.Greedy()).Sample(pooled, last)
	wantError(t, err, nil)
	if _, err := pooled.SeqEmbeddings(5); err == nil {
		t.Error("sequence 5 has an embedding")
	}

	off := newContext(t, m, llama.ContextParams{NCtx: 256})
	decode(t, off, tokens, 0, 0)
	_, err = off.Embeddings(last)
	wantError(t, err, nil)
	decode(t, off, tokens[:1], llama.Pos(len(tokens)), 0)
}

func TestCausalAttentionCanBeSwitchedOff(t *testing.T) {
	tokens := tokenize(t, prompt)
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	if err := c.SetCausal(false); err != nil {
		t.Fatal(err)
	}
	b := newBatch(t, 64, 1)
	for i, token := range tokens {
		b.Add(token, llama.Pos(i), true, 0)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	differ(t, "the first token, which now sees the others", logits(t, c, 0), fresh(t, tokens[:1]))
}

// slow is a context and a batch that takes long enough to be interrupted.
func slow(t *testing.T) (*llama.Context, *llama.Batch) {
	const n = 1792
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 2048, NBatch: n, NUBatch: 64})
	b := newBatch(t, n, 1)
	for i := range n {
		b.Add(llama.Token(300+i%300), llama.Pos(i), false, 0)
	}
	return c, b
}

func TestDecodeStopsWhenItsContextIsDone(t *testing.T) {
	c, b := slow(t)
	patience := 30 * time.Millisecond
	err := error(nil)
	// a processor that is done in that time is given less
	for err == nil && patience > 100*time.Microsecond {
		if err := c.Memory().Clear(false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err = c.Decode(ctx, b)
		cancel()
		patience /= 2
	}
	if !errors.Is(err, llama.ErrAborted) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with less than %v: %v", 4*patience, err)
	}
	if done := c.Memory().SeqPosMax(0); done >= 1791 || (done+1)%64 != 0 {
		t.Errorf("positions up to %d are in the cache", done)
	}
	if _, err := c.Logits(0); err == nil {
		t.Error("an aborted batch has logits")
	}

	// The context goes on: from where it stands, and after clearing as if nothing had been.
	tokens := tokenize(t, prompt)
	decode(t, c, tokens[:1], c.Memory().SeqPosMax(0)+1, 0)
	if err := c.Memory().Clear(false); err != nil {
		t.Fatal(err)
	}
	same(t, "after an abort", decode(t, c, tokens, 0, 0), fresh(t, tokens))
}

func TestDecodeWithADoneContextDoesNothing(t *testing.T) {
	c, b := slow(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("why")
	cancel(why)
	err := c.Decode(ctx, b)
	wantError(t, err, llama.ErrAborted)
	if c.Memory().SeqPosMax(0) != -1 {
		t.Error("something was computed")
	}
}

func TestCancellingManyDecodesNeverSpillsOver(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	tokens := tokenize(t, prompt)
	for i := range 200 {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
		b := newBatch(t, 64, 1)
		for k, token := range tokens {
			b.Add(token, llama.Pos(k), true, 0)
		}
		if err := c.Decode(ctx, b); err != nil && !errors.Is(err, llama.ErrAborted) {
			t.Fatal(err)
		}
		b.Close()
		cancel()
		c.Memory().Clear(false)
		if i%20 == 0 {
			decode(t, c, tokens, 0, 0) // fails if a late cancellation hits it
			c.Memory().Clear(false)
		}
	}
}

func TestDecodeReportsAFullCache(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256, NSeqMax: 2})
	b := newBatch(t, 256, 1)
	for i := range 256 {
		b.Add(5, llama.Pos(i), false, 0)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	b.Clear()
	b.Add(5, 0, true, 1)
	wantError(t, c.Decode(context.Background(), b), llama.ErrNoRoom)
	if c.Memory().SeqPosMax(0) != 255 || c.Memory().SeqPosMax(1) != -1 {
		t.Error("the cache is not as before")
	}
	if err := c.Memory().SeqRemove(0, 100, -1); err != nil {
		t.Fatal(err)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Errorf("after making room: %v", err)
	}
}
