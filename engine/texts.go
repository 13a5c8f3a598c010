package engine

import (
	"cmp"
	"context"

	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/engine/texts"
)

// EmbedRequest asks for the embeddings of texts, and Embeddings are the answer.
type (
	EmbedRequest = texts.EmbedRequest
	Embeddings   = texts.Embeddings
)

// ScoreRequest asks how probable each token of a text is, and Scores are the answer.
type (
	ScoreRequest = texts.ScoreRequest
	Scores       = texts.Scores
)

// readTexts makes the model's embedder and scorer, which read texts beside answers.
func (m *Model) readTexts(spec *ModelSpec) {
	host := texts.Host{Model: m.lm, Name: m.info.Name, Context: m.info.Context, Longest: m.cells,
		Answers: m.lc.HasMemory(), Threads: m.engine.threads, Thread: m.engine.thread,
		Queue: cmp.Or(spec.Queue, sched.DefaultQueue), Open: m.secondContext,
		Portion: cmp.Or(spec.MaxGap, sched.DefaultMaxGap) / 2}
	m.embedder, m.scorer = texts.NewEmbedder(host), texts.NewScorer(host)
}

// Embed turns texts into vectors, whose directions are alike where the texts' meanings are; see
// [texts.Embedder]. The error is ErrBusy where ModelSpec.Queue requests wait already.
func (m *Model) Embed(ctx context.Context, r EmbedRequest) (*Embeddings, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (*Embeddings, error) {
		return m.embedder.Embed(ctx, r)
	})
}

// Score returns how probable each token of a text is to the model. Errors wrap ErrRequest or
// ErrContextLength.
func (m *Model) Score(ctx context.Context, r ScoreRequest) (*Scores, error) {
	return whileOpen(ctx, m, func(ctx context.Context) (*Scores, error) {
		return m.scorer.Score(ctx, r)
	})
}
