package server

import (
	"context"
	"iter"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// talk collects the turns of a conversation as the engine takes them, its pictures numbered and
// counted.
type talk struct {
	s        *Server
	ctx      context.Context
	messages []engine.Message
	pictures int
}

// newTalk begins a conversation with what the model itself brings.
func (s *Server) newTalk(ctx context.Context, m *model, hasSystem bool) *talk {
	t := &talk{s: s, ctx: ctx}
	t.messages, t.pictures = m.beginning(hasSystem)
	return t
}

// picture returns a picture by its address, as content.
func (t *talk) picture(address, param string) (engine.Content, error) {
	return t.number(param, func(name string) (*engine.Image, error) {
		return t.s.pictures.get(t.ctx, address, name, param)
	})
}

// number gives a picture its number and counts it.
func (t *talk) number(param string, get func(name string) (*engine.Image, error)) (engine.Content,
	error) {
	if t.pictures++; t.pictures > t.s.limits.Images {
		return engine.Content{}, refuseField(param, "the request has more than %d pictures",
			t.s.limits.Images)
	}
	image, err := get(pictureName(t.pictures, param))
	if err == nil {
		image.Name = fileName(t.pictures, param, image.Data)
	}
	return engine.Picture(image), err
}

// indexed is an event of one of several answers.
type indexed struct {
	engine.Event
	index int
}

// maxAtOnce bounds the answers to one request that are computed side by side; the others wait for
// their turn.
const maxAtOnce = 16

// generateAll answers requests side by side. It ends with the first error; leaving the loop ends
// the answers.
func (l *lease) generateAll(ctx context.Context, requests []engine.Request) iter.Seq2[indexed,
	error] {
	return func(yield func(indexed, error) bool) {
		if len(requests) == 1 {
			for e, err := range l.generate(ctx, requests[0]) {
				if !yield(indexed{e, 0}, err) {
					return
				}
			}
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		type arrival struct {
			indexed
			err  error
			over bool
		}
		arrivals := make(chan arrival)
		turns := make(chan struct{}, maxAtOnce)
		for i, r := range requests {
			go func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				if ctx.Err() == nil { // else nobody listens any more
					for e, err := range l.generate(ctx, r) {
						arrivals <- arrival{indexed: indexed{e, i}, err: err}
					}
				}
				arrivals <- arrival{over: true}
			}()
		}
		running := len(requests)
		defer func() {
			cancel()
			for running > 0 { // what the others still say is not heard
				if a := <-arrivals; a.over {
					running--
				}
			}
		}()
		for running > 0 {
			if a := <-arrivals; a.over {
				running--
			} else if !yield(a.indexed, a.err) || a.err != nil {
				return
			}
		}
	}
}

// copies are the requests for n answers to the same question.
func copies(r engine.Request, n int) []engine.Request {
	list := make([]engine.Request, n)
	for i := range list {
		list[i] = r
		if r.Sampling.Seed != nil {
			seed := *r.Sampling.Seed + uint32(i)
			list[i].Sampling.Seed = &seed
		}
	}
	return list
}

// prefill takes the beginning of the answer out of a conversation that ends with one: the last
// message is the assistant's, and a text. It reports whether there was one.
func prefill(r *engine.Request) bool {
	n := len(r.Messages) - 1
	if n < 1 || r.Messages[n].Role != "assistant" || len(r.Messages[n].ToolCalls) > 0 {
		return false
	}
	text := ""
	for _, c := range r.Messages[n].Content {
		if c.Image != nil {
			return false
		}
		text += c.Text
	}
	// Models begin words with their blanks, and would not find one behind another.
	if text = strings.TrimRight(text, " \t\r\n"); text == "" {
		return false
	}
	r.Messages, r.Prefill = r.Messages[:n:n], text
	return true
}

// isHeld reports whether an answer is held to a format or to calls, with which it must begin.
func isHeld(r *engine.Request) bool {
	return len(r.Schema) > 0 || r.Grammar != "" || r.ToolChoice == engine.ToolsRequired ||
		r.ToolName != ""
}
