package llama_test

import (
	"context"
	"math"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// entry is a token of a batch in the table below.
type entry struct {
	token llama.Token
	pos   llama.Pos
	seqs  []llama.Seq
}

func at(positions ...llama.Pos) []entry {
	var list []entry
	for _, p := range positions {
		list = append(list, entry{5, p, []llama.Seq{0}})
	}
	return list
}

func TestBatchesThatBreakARuleAreErrors(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256, NBatch: 32, NUBatch: 16,
		NSeqMax: 2})
	decode(t, c, []llama.Token{1, 5, 6}, 0, 0) // sequence 0 stands at 2
	long := make([]llama.Pos, 33)
	for i := range long {
		long[i] = llama.Pos(3 + i)
	}
	seq := func(seqs ...llama.Seq) []entry { return []entry{{5, 3, seqs}} }
	for name, entries := range map[string][]entry{
		"no entry":                            nil,
		"more entries than NBatch":            at(long...),
		"a gap after the cache":               at(5),
		"a position that is taken":            at(2),
		"a position before the cache's":       at(0),
		"a gap in the batch":                  at(3, 5),
		"a position twice":                    at(3, 3),
		"positions going back":                at(4, 3),
		"a negative position":                 at(-1),
		"the smallest position":               at(math.MinInt32),
		"the largest position":                at(math.MaxInt32),
		"a sequence out of range":             seq(2),
		"a negative sequence":                 seq(-1),
		"the largest sequence":                seq(math.MaxInt32),
		"a sequence twice":                    seq(0, 0),
		"sequences that stand apart":          seq(0, 1),
		"no sequence":                         seq(),
		"more sequences than the batch takes": seq(0, 1, 0),
		"a token out of the vocabulary":       {{vocabulary, 3, []llama.Seq{0}}},
		"a negative token":                    {{-1, 3, []llama.Seq{0}}},
		"the largest token":                   {{math.MaxInt32, 3, []llama.Seq{0}}},
	} {
		b := newBatch(t, 64, 2)
		var err error
		for _, e := range entries {
			if err = b.Add(e.token, e.pos, true, e.seqs...); err != nil {
				break
			}
		}
		if err == nil {
			err = c.Decode(context.Background(), b)
		}
		wantError(t, err, llama.ErrInvalidBatch)
		if c.Memory().SeqPosMax(0) != 2 || c.Memory().SeqPosMax(1) != -1 {
			t.Fatalf("%s: the cache changed", name)
		}
	}
	b := newBatch(t, 1, 1)
	if err := b.Add(5, 3, true, 0); err != nil {
		t.Fatal(err)
	}
	wantError(t, b.Add(5, 4, true, 0), llama.ErrInvalidBatch) // full
	if err := c.Decode(context.Background(), b); err != nil {
		t.Error("after all that:", err)
	}
}

func TestEmbeddingBatchesThatDoNotFitAreErrors(t *testing.T) {
	m := seedModel(t)
	c := newContext(t, m, llama.ContextParams{NCtx: 256})
	for name, size := range map[string][2]int{"another width": {128, 1},
		"four positions an entry": {256, 4}, "no width": {0, 0}} {
		b := llama.NewEmbeddingBatch(4, 1, size[0], size[1])
		if err := b.AddEmbedding(make([]float32, max(size[0], 1)),
			make([]llama.Pos, max(size[1], 1)), true, 0); err != nil {
			t.Fatal(err)
		}
		if err := c.Decode(context.Background(), b); err == nil {
			t.Errorf("%s: no error", name)
		}
		b.Close()
	}
	b := llama.NewEmbeddingBatch(4, 1, 256, 1)
	defer b.Close()
	wantError(t, b.AddEmbedding(make([]float32, 255), []llama.Pos{0}, true, 0),
		llama.ErrInvalidBatch)
	wantError(t, b.AddEmbedding(make([]float32, 256), []llama.Pos{0, 0}, true, 0),
		llama.ErrInvalidBatch)
	wantError(t, b.Add(5, 0, true, 0), llama.ErrInvalidBatch)
	wantError(t, newBatch(t, 1, 1).AddEmbedding(make([]float32, 256), []llama.Pos{0}, true, 0),
		llama.ErrInvalidBatch)
	if err := b.AddEmbedding(make([]float32, 256), []llama.Pos{-5}, true, 0); err != nil {
		t.Fatal(err)
	}
	wantError(t, c.Decode(context.Background(), b), llama.ErrInvalidBatch)
	b.Clear()
	nan := make([]float32, 256)
	nan[0] = float32(math.NaN())
	if err := b.AddEmbedding(nan, []llama.Pos{0}, true, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	_, err := newSampler(t, llama.TopK(5), llama.Greedy()).Sample(c, 0)
	wantError(t, err, llama.ErrSampling)
}

func TestContextParamsOutOfRangeAreErrors(t *testing.T) {
	nan := float32(math.NaN())
	for name, p := range map[string]llama.ContextParams{
		"a negative NCtx":                  {NCtx: -1},
		"a negative NBatch":                {NBatch: -1},
		"a negative NUBatch":               {NUBatch: -1},
		"negative threads":                 {Threads: -1},
		"a million threads":                {Threads: 1 << 20},
		"a million threads for prompts":    {ThreadsBatch: 1 << 20},
		"more sequences than libllama has": {NSeqMax: llama.MaxSequences() + 1},
		"2^40 sequences":                   {NSeqMax: 1 << 40},
		"a context of a billion tokens":    {NCtx: 1 << 30},
		"a context past 2^32":              {NCtx: 1 << 33},
		"a NonCausal batch of a billion": {NonCausal: true, NBatch: 1 << 29,
			NUBatch: 1 << 29},
		"a quantized V cache, flash attention off": {TypeV: ggml.Q8_0,
			FlashAttention: llama.FlashOff},
		"a cache of K-quants":        {TypeK: ggml.Q4_K},
		"a cache of integers":        {TypeK: ggml.I32},
		"a cache of an unknown type": {TypeV: 4711},
		"an unknown Pooling":         {Pooling: 99},
		"a negative Pooling":         {Pooling: -1},
		"an unknown FlashAttention":  {FlashAttention: 9},
		"a RoPE base that is NaN":    {RopeFreqBase: nan},
		"a negative RoPE scale":      {RopeFreqScale: -1},
		"a negative OutputsMax":      {OutputsMax: -1},
		"negative RecurrentRB":       {RecurrentRB: -1},
	} {
		if c, err := llama.NewContext(seedModel(t), p); err == nil {
			c.Close()
			t.Errorf("%s: no error", name)
		}
	}
	_, err := llama.NewContext(nil, llama.ContextParams{})
	wantError(t, err, nil)

	// Odd, but something libllama can be asked for: whatever comes of it, it works or is an error.
	for name, p := range map[string]llama.ContextParams{
		"one cell":                       {NCtx: 1},
		"more sequences than cells":      {NCtx: 16, NSeqMax: 64, SplitKV: true},
		"ranking without a head":         {NCtx: 64, Embeddings: true, Pooling: llama.PoolingRank},
		"pooling without Embeddings":     {NCtx: 64, Pooling: llama.PoolingMean},
		"micro-batches larger than all":  {NCtx: 64, NBatch: 8, NUBatch: 4096},
		"snapshots of a plain cache":     {NCtx: 64, RecurrentRB: 4},
		"one output":                     {NCtx: 64, OutputsMax: 1},
		"a context longer than training": {NCtx: 4096},
		"sequences to the limit":         {NCtx: 2048, NSeqMax: llama.MaxSequences()},
		"attention in both directions":   {NCtx: 64, NonCausal: true},
		"mean of all":                    {NCtx: 64, Embeddings: true, Pooling: llama.PoolingMean},
	} {
		c, err := llama.NewContext(seedModel(t), p)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		b := newBatch(t, 3, 1)
		for i := range 3 {
			b.Add(5, llama.Pos(i), true, 0)
		}
		if err := c.Decode(context.Background(), b); err != nil {
			t.Logf("%s: %v", name, err)
		}
		c.SeqEmbeddings(0)
		c.Logits(0)
		c.Close()
	}
}

func TestModelParamsOutOfRangeAreErrors(t *testing.T) {
	for name, p := range map[string]llama.ModelParams{
		"fewer GPU layers than none": {GPULayers: -2},
		"an unknown SplitMode":       {SplitMode: 9},
		"an unknown LoadMode":        {LoadMode: 17},
		"a negative LoadMode":        {LoadMode: -1},
		"a negative MainGPU":         {MainGPU: -1},
		"a MainGPU that is not":      {MainGPU: 99, SplitMode: llama.SplitNone, GPULayers: 1},
		"an empty device":            {Devices: []ggml.Device{{}}},
		"too many shares":            {TensorSplit: make([]float32, 10000)},
		"a share that is NaN":        {TensorSplit: []float32{float32(math.NaN())}},
	} {
		if m, err := llama.LoadModel(context.Background(), seedPath, p); err == nil {
			m.Close()
			if name != "a MainGPU that is not" { // which libllama may ignore where there is no GPU
				t.Errorf("%s: no error", name)
			}
		}
	}
}

func TestEncodeIsForEncoders(t *testing.T) {
	for _, p := range []llama.ContextParams{{NCtx: 64}, {NCtx: 64, NonCausal: true},
		{NCtx: 64, Embeddings: true, Pooling: llama.PoolingMean}} {
		c := newContext(t, seedModel(t), p)
		b := newBatch(t, 4, 1)
		b.Add(5, 0, true, 0)
		wantError(t, c.Encode(context.Background(), b), llama.ErrInvalidBatch)
		if err := c.Decode(context.Background(), b); err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutCausalAttentionABatchIsOneMicroBatch(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256, NBatch: 64, NUBatch: 16})
	if err := c.SetCausal(false); err != nil {
		t.Fatal(err)
	}
	b := newBatch(t, 64, 1)
	for i := range 17 {
		b.Add(5, llama.Pos(i), false, 0)
	}
	wantError(t, c.Decode(context.Background(), b), llama.ErrInvalidBatch)
	if err := c.SetCausal(true); err != nil {
		t.Fatal(err)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Error(err)
	}
}

func TestOutputsOverTheLimitAreAnError(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 64, OutputsMax: 2})
	b := newBatch(t, 8, 1)
	for i := range 5 {
		b.Add(5, llama.Pos(i), i > 1, 0)
	}
	wantError(t, c.Decode(context.Background(), b), llama.ErrInvalidBatch)
	b.Clear()
	for i := range 5 {
		b.Add(5, llama.Pos(i), i > 2, 0)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Error(err)
	}
}

func TestLogitsNobodyAskedFor(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 64})
	_, err := c.Logits(0) // before any batch
	wantError(t, err, nil)
	b := newBatch(t, 4, 1)
	for i := range 4 {
		b.Add(5, llama.Pos(i), i == 3, 0)
	}
	if err := c.Decode(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	s := newSampler(t, llama.Greedy())
	for _, i := range []int{-1, 0, 2, 4, math.MaxInt32, math.MinInt32} {
		_, err := c.Logits(i)
		wantError(t, err, nil)
		_, err = c.Embeddings(i)
		wantError(t, err, nil)
		_, err = s.Sample(c, i)
		wantError(t, err, nil)
	}
}

func TestASamplerOfAnotherModelIsAnError(t *testing.T) {
	other := loadModel(t, seedPath, llama.ModelParams{})
	c := newContext(t, other, llama.ContextParams{NCtx: 64})
	defer c.Close()
	decode(t, c, []llama.Token{1}, 0, 0)
	_, err := newSampler(t, llama.Greedy()).Sample(c, 0)
	wantError(t, err, nil)
}

func TestSamplersMustSelectOnceAndLast(t *testing.T) {
	for _, stages := range [][]llama.Stage{nil, {llama.TopK(5)}, {llama.Greedy(), llama.TopK(5)},
		{llama.Greedy(), llama.Dist(1)}, {{}}} {
		s, err := llama.NewSampler(seedModel(t), stages...)
		if err == nil {
			s.Close()
		}
		wantError(t, err, nil)
	}
	_, err := llama.NewSampler(nil, llama.Greedy())
	wantError(t, err, nil)
}

func TestUseAfterClose(t *testing.T) {
	ctx := context.Background()
	m, err := llama.LoadModel(ctx, seedPath, llama.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := llama.NewContext(m, llama.ContextParams{NCtx: 64})
	if err != nil {
		t.Fatal(err)
	}
	s, err := llama.NewSampler(m, llama.Greedy())
	if err != nil {
		t.Fatal(err)
	}
	b := llama.NewTokenBatch(4, 1)
	b.Add(1, 0, true, 0)

	wantError(t, m.Close(), llama.ErrInUse)
	s.Close()
	wantError(t, m.Close(), llama.ErrInUse)
	b.Close()
	wantError(t, c.Decode(ctx, b), llama.ErrClosed)
	wantError(t, c.Decode(ctx, nil), llama.ErrClosed)
	wantError(t, b.Add(1, 0, true, 0), llama.ErrClosed)
	c.Close()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, close := range []func() error{m.Close, c.Close, s.Close, b.Close} {
		if err := close(); err != nil {
			t.Error("the second Close:", err)
		}
	}

	open := newBatch(t, 1, 1)
	open.Add(1, 0, true, 0)
	_, logitsErr := c.Logits(0)
	_, embeddingsErr := c.Embeddings(0)
	_, seqErr := c.SeqEmbeddings(0)
	_, sizeErr := c.StateSize(0, 0)
	_, stateErr := c.SeqState(0, 0)
	_, sampleErr := s.Sample(c, 0)
	_, _, applyErr := s.Apply(make([]float32, vocabulary))
	_, cloneErr := s.Clone()
	_, tokenizeErr := m.Vocab().Tokenize("a", true, false)
	_, detokenizeErr := m.Vocab().Detokenize([]llama.Token{1}, false, false)
	_, contextErr := llama.NewContext(m, llama.ContextParams{})
	_, samplerErr := llama.NewSampler(m, llama.Greedy())
	_, adapterErr := llama.LoadAdapter(m, seedPath)
	mem := c.Memory()
	for name, err := range map[string]error{
		"Decode": c.Decode(ctx, open), "Encode": c.Encode(ctx, open),
		"Logits": logitsErr, "Embeddings": embeddingsErr,
		"SeqEmbeddings": seqErr, "StateSize": sizeErr, "SeqState": stateErr,
		"SetSeqState": c.SetSeqState(0, []byte{1}, 0),
		"SetThreads":  c.SetThreads(1, 1),
		"SetCausal":   c.SetCausal(true),
		"SetAdapters": c.SetAdapters(nil, nil), "Clear": mem.Clear(true),
		"SeqRemove": mem.SeqRemove(0, -1, -1), "SeqCopy": mem.SeqCopy(0, 0, -1, -1),
		"SeqAdd": mem.SeqAdd(0, -1, -1, 1), "Sample": sampleErr, "Apply": applyErr,
		"Accept": s.Accept(1), "Clone": cloneErr, "Reset": s.Reset(), "Tokenize": tokenizeErr,
		"Detokenize": detokenizeErr, "NewContext": contextErr,
		"NewSampler": samplerErr, "LoadAdapter": adapterErr,
	} {
		t.Run(name, func(t *testing.T) { wantError(t, err, llama.ErrClosed) })
	}
	if c.NCtx() != 0 || c.NCtxSeq() != 0 || mem.CanShift() || mem.SeqPosMax(0) != -1 ||
		c.Pointer() != nil || m.Pointer() != nil {
		t.Error("something is left of a closed context")
	}
	if m.NEmbd() != 0 || m.NParams() != 0 || m.Size() != 0 || m.Description() != "" ||
		m.FileType() != "" || m.Metadata() != nil || m.Vocab().N() != 0 ||
		m.Vocab().BOS() != llama.NoToken {
		t.Error("something is left of a closed model")
	}
	m.Meta("x")
	m.ChatTemplate("")
	m.Vocab().Piece(1, true)
	if m.HasDecoder() || m.HasEncoder() || m.IsHybrid() || m.IsRecurrent() {
		t.Error("a closed model has properties")
	}
}
