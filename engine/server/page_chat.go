package server

import (
	"net/http"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
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

// pageChat answers POST /page/api/chat: Ollama's request to chat, answered line by line with what
// the page shows, costs included.
func (s *Server) pageChat(w http.ResponseWriter, r *http.Request) error {
	request, l, err := s.pageRequest(w, r)
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
	out, began := s.newLines(w), time.Now()
	show := spoken{}
	for e, err := range l.generate(r.Context(), *request) {
		if err != nil {
			if out.begun {
				// the client may be gone
				_ = out.send(map[string]string{"error": failureOf(r.Context(), err).text})
			}
			return err
		}
		line := pageEvent{Text: show.push(e.Text), Thinking: e.Reasoning}
		if e.Done != nil {
			line.Done = costOf(e.Done, l, time.Since(began))
			line.Done.Pictures = pictures
			if last != nil {
				if frame, err := l.Model.Frame(r.Context(), last, request.ImageTokens); err == nil {
					line.Done.Frame = &frame
				}
			}
		}
		if line == (pageEvent{}) {
			continue
		}
		if err := out.send(line); err != nil {
			return err
		}
	}
	return nil
}

// costOf is what an answer cost, as the engine measured it.
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
func (s *Server) pageRequest(w http.ResponseWriter,
	r *http.Request) (*engine.Request, *lease, error) {
	var q ollamaChatRequest
	m, err := s.decodeFor(w, r, &q, &q.Model)
	if err != nil {
		return nil, nil, err
	}
	if len(q.Messages) == 0 {
		return nil, nil, refuseField("messages", "the conversation is empty")
	}
	options, err := s.checkChat(&q, m)
	if err != nil {
		return nil, nil, err
	}
	messages, err := s.conversation(&q)
	if err != nil {
		return nil, nil, err
	}
	request := &engine.Request{ContextShift: true}
	if err := (&formatDemands{Format: q.Format}).apply(request); err != nil {
		return nil, nil, err
	}
	request.Messages, request.Thinking = ollamaMessages(m, messages), thinking(q.Think)
	if err := s.withPages(r.Context(), request.Messages); err != nil {
		return nil, nil, err
	}
	l, err := s.models.use(r.Context(), m, options.context, q.KeepAlive.keep())
	if err != nil {
		return nil, nil, err
	}
	options.apply(request, l.Model.Info().Context)
	return request, l, nil
}

// pageEstimate answers POST /page/api/estimate: how many tokens a conversation has, before it is
// sent.
func (s *Server) pageEstimate(w http.ResponseWriter, r *http.Request) error {
	request, l, err := s.pageRequest(w, r)
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
