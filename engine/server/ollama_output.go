package server

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
)

// ollamaEvent is a piece of an answer, whatever endpoint it is for.
type ollamaEvent struct {
	model    string
	at       time.Time
	text     string
	thinking string
	calls    []api.ToolCall
	logprobs []api.Logprob
	done     bool
	reason   string         // of the end
	metrics  api.Metrics    // at the end
	result   *engine.Result // at the end
	tokens   []engine.Token // of the whole answer, at the end
}

// ollamaOutput sends an answer as Ollama does: a line for each piece, or all in one document.
type ollamaOutput struct {
	s        *Server
	w        http.ResponseWriter
	ctx      context.Context // of the request
	model    string          // as the client called it
	began    time.Time
	load     time.Duration
	streamed bool
	raw      bool // no chat template, or an answer that has begun: the first space is part of it
}

// run sends an answer; document makes of a piece what goes to the client. An error before the first
// piece is the caller's to tell; later ones become the stream's last line.
func (o *ollamaOutput) run(answer iter.Seq2[engine.Event, error],
	document func(ollamaEvent) any) error {
	out := o.s.newLines(o.w)
	var piece ollamaEvent // what has come and was not sent
	var tokens []engine.Token
	calls := callJoiner{}
	show := spoken{begun: o.raw}
	for e, err := range answer {
		if err != nil {
			return o.failed(out, err)
		}
		piece.text += show.push(e.Text)
		piece.thinking += e.Reasoning
		piece.calls = append(piece.calls, calls.push(e.Calls)...)
		piece.logprobs = append(piece.logprobs, ollamaLogprobs(e.Logprobs)...)
		piece.model, piece.at = o.model, time.Now().UTC()
		tokens = append(tokens, e.Tokens...)
		if o.streamed && (piece.text != "" || piece.thinking != "" || len(piece.calls) > 0) {
			if err := out.send(document(piece)); err != nil {
				return err
			}
			piece = ollamaEvent{model: piece.model, at: piece.at}
		}
		if e.Done == nil {
			continue
		}
		piece.done, piece.reason, piece.result, piece.tokens, piece.metrics = true,
			ollamaReason(e.Done.Finish), e.Done, tokens, o.metrics(e.Done)
		if o.streamed {
			return out.send(document(piece))
		}
		return o.s.writeJSON(o.w, http.StatusOK, document(piece))
	}
	return nil
}

// ollamaReason is why an answer ended, in Ollama's words, which have none for calls of tools.
func ollamaReason(f engine.FinishReason) string {
	if f == engine.FinishTools {
		f = engine.FinishStop
	}
	return string(f)
}

// callJoiner puts calls together, which Ollama's API knows whole only.
type callJoiner map[int]*joinedCall

// push returns the calls that are whole now.
func (j callJoiner) push(deltas []engine.CallDelta) (whole []api.ToolCall) {
	for _, d := range deltas {
		c := j[d.Index]
		if c == nil {
			c = &joinedCall{ToolCall: api.ToolCall{ID: d.ID,
				Function: api.ToolCallFunction{Index: d.Index, Name: d.Name}}}
			j[d.Index] = c
		}
		c.arguments += d.Arguments
		// What the grammar has held to the schema is JSON.
		var exact exactArguments
		if d.Done && exact.UnmarshalJSON([]byte(c.arguments)) == nil {
			c.Function.Arguments = exact.ToolCallFunctionArguments
			whole = append(whole, c.ToolCall)
		}
	}
	return whole
}

// joinedCall is a call of which pieces have come.
type joinedCall struct {
	api.ToolCall
	arguments string
}

// failed tells of an error in the middle of a stream, by its last line.
func (o *ollamaOutput) failed(out *lines, err error) error {
	if out.begun {
		f := failureOf(o.ctx, err)
		_ = out.send(map[string]string{"error": f.text}) // the client may be gone
	}
	return err
}

// metrics are the figures of an answer, as measured. The time to load is what this request waited
// for the model.
func (o *ollamaOutput) metrics(r *engine.Result) api.Metrics {
	drawn := r.Usage.Completion
	if r.EndToken { // which counts in Ollama's API
		drawn++
	}
	return api.Metrics{
		TotalDuration: time.Since(o.began), LoadDuration: o.load,
		PromptEvalCount: r.Usage.Prompt, PromptEvalDuration: promptTime(r.Timings),
		EvalCount: drawn, EvalDuration: r.Timings.Generate,
	}
}

func ollamaLogprobs(list []engine.TokenLogprob) []api.Logprob {
	var out []api.Logprob
	for _, t := range list {
		l := api.Logprob{TokenLogprob: ollamaLogprob(t)}
		for _, top := range t.Top {
			l.TopLogprobs = append(l.TopLogprobs, ollamaLogprob(top))
		}
		out = append(out, l)
	}
	return out
}

// ollamaLogprob writes a token with its bytes: it may be part of a character only.
func ollamaLogprob(t engine.TokenLogprob) api.TokenLogprob {
	out := api.TokenLogprob{Token: strings.ToValidUTF8(t.Text, "\uFFFD"),
		Logprob: finite(t.Logprob)}
	for _, b := range []byte(t.Text) {
		out.Bytes = append(out.Bytes, int(b))
	}
	return out
}

// ollamaLoad answers a request without a question, which loads a model, or unloads it if it is to
// be kept for no time. It returns what was done.
func (s *Server) ollamaLoad(ctx context.Context, m *model, keep *keepAlive) (string, error) {
	if keep.unloads() {
		s.models.unload(m)
		return "unload", nil
	}
	l, err := s.models.use(ctx, m, 0, keep.keep())
	if err != nil {
		return "", err
	}
	l.Release()
	return "load", nil
}
