package server

import (
	"net/http"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// pageCost is what an answer cost. Times are in milliseconds.
type pageCost struct {
	Finish       string  `json:"finish"`
	PromptTokens int     `json:"promptTokens"`
	CachedTokens int     `json:"cachedTokens"`
	ImageTokens  int     `json:"imageTokens"`
	AnswerTokens int     `json:"answerTokens"`
	Encoded      int     `json:"encoded"` // 1 if a picture had to be encoded, 0 if all were known
	Pictures     int     `json:"pictures"`
	Load         float64 `json:"load"`
	Encode       float64 `json:"encode"`
	Prefill      float64 `json:"prefill"`
	Generate     float64 `json:"generate"`
	FirstToken   float64 `json:"firstToken"`
	Total        float64 `json:"total"`
	Context      int     `json:"context"`
	// Frame says what the numbers of the answer count, if it tells where things are in the last
	// picture.
	Frame *boxes.Frame `json:"frame,omitempty"`
}

// pageEvent is a line of an answer as the page reads it.
type pageEvent struct {
	Text     string    `json:"text,omitempty"`
	Thinking string    `json:"thinking,omitempty"`
	Done     *pageCost `json:"done,omitempty"`
}

// pageAnswer renders the answer to a request of the page: lines of text and thoughts, and what it
// cost in the last one.
type pageAnswer struct {
	cost func(r *engine.Result) *pageCost
}

// Step implements [answer.Renderer].
func (p *pageAnswer) Step(s answer.Step) []answer.Piece {
	line := pageEvent{Text: s.Text, Thinking: s.Thought}
	if s.Done != nil {
		line.Done = p.cost(s.Done)
	}
	if line == (pageEvent{}) {
		return nil
	}
	return []answer.Piece{{Data: line}}
}

// End implements [answer.Renderer].
func (p *pageAnswer) End(*answer.Set) []answer.Piece { return nil }

// Failed implements [answer.Renderer].
func (p *pageAnswer) Failed(f *failure.Failure) []answer.Piece {
	return []answer.Piece{{Data: ollama.ErrorBody(f)}}
}

// Document implements [answer.Renderer]; the page takes streams alone.
func (p *pageAnswer) Document(*answer.Set) any { return nil }

// pageChat answers POST /page/api/chat: Ollama's request to chat, answered line by line with what
// the page shows, costs included.
func (s *Server) pageChat(w http.ResponseWriter, r *http.Request, q *ollama.ChatRequest) error {
	request, l, err := s.pageRequest(r, q)
	if err != nil {
		return err
	}
	defer l.Release()
	pictures, last := 0, (*engine.Image)(nil)
	for _, m := range request.Messages {
		for _, c := range m.Content {
			if c.Image != nil {
				pictures++
				last = c.Image
			}
		}
	}
	began := time.Now()
	format := &pageAnswer{func(result *engine.Result) *pageCost {
		cost := costOf(result, l, time.Since(began))
		cost.Pictures = pictures
		if last != nil {
			if frame, err := l.Model.Frame(r.Context(), last, request.ImageTokens); err == nil {
				cost.Frame = &frame
			}
		}
		return cost
	}}
	return s.respond(r.Context(), w, s.newStream(w, asLines), answer.NewSet(1), format,
		only(l.generate(r.Context(), *request)))
}

// costOf returns what an answer cost, as the engine measured it.
func costOf(r *engine.Result, l *lease, total time.Duration) *pageCost {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	c := &pageCost{
		Finish: string(r.Finish), PromptTokens: r.Usage.Prompt, CachedTokens: r.Usage.Cached,
		ImageTokens: r.Usage.Image, AnswerTokens: r.Usage.Completion,
		Load: ms(l.load), Encode: ms(r.Timings.Encode), Prefill: ms(r.Timings.Prefill),
		Generate:   ms(r.Timings.Generate),
		FirstToken: ms(r.Timings.FirstToken), Total: ms(total), Context: l.Model.Info().Context,
	}
	if r.Timings.Encode > 0 {
		c.Encoded = 1
	}
	return c
}

// pageRequest reads a request of the page, and borrows its model. The lease must be released.
func (s *Server) pageRequest(r *http.Request,
	q *ollama.ChatRequest) (*engine.Request, *lease, error) {
	m, err := s.models.find(q.Model)
	if err != nil {
		return nil, nil, err
	}
	if len(q.Messages) == 0 {
		return nil, nil, failure.Field("messages", "the conversation is empty")
	}
	options, err := s.checkChat(q, m)
	if err != nil {
		return nil, nil, err
	}
	messages, err := s.conversation(q)
	if err != nil {
		return nil, nil, err
	}
	request := &engine.Request{ContextShift: true}
	if err := (&fields.Form{Format: q.Format}).Apply(request); err != nil {
		return nil, nil, err
	}
	request.Messages, request.Thinking = ollamaMessages(m, messages), ollama.ThinkingOf(q.Think)
	if err := s.withPages(r.Context(), request.Messages); err != nil {
		return nil, nil, err
	}
	l, err := s.models.use(r.Context(), s.models.placed(m, options.Layers), options.Context,
		q.KeepAlive.Time())
	if err != nil {
		return nil, nil, err
	}
	options.Apply(request, l.Model.Info().Context)
	return request, l, nil
}

// pageEstimate answers POST /page/api/estimate: how many tokens a conversation has, before it is
// sent.
func (s *Server) pageEstimate(w http.ResponseWriter, r *http.Request,
	q *ollama.ChatRequest) error {
	request, l, err := s.pageRequest(r, q)
	if err != nil {
		return err
	}
	defer l.Release()
	usage, err := l.Model.Count(r.Context(), *request)
	if err != nil {
		return err
	}
	return s.writeJSON(w, http.StatusOK, struct {
		Tokens      int `json:"tokens"`
		ImageTokens int `json:"imageTokens"`
		Context     int `json:"context"`
	}{usage.Prompt, usage.Image, l.Model.Info().Context})
}
