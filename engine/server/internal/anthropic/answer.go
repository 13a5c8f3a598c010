package anthropic

import (
	"cmp"
	"crypto/rand"
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Fields that this server has nothing for are left out, as in Anthropic's own answers, though its
// schema calls them required: a null in their place is more than some clients take.

// message is a message of the model's.
type message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      []any   `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
	Usage        counts  `json:"usage"`
	Checked      *bool   `json:"schema_checked,omitempty"`
}

// counts counts tokens. Those that stood in the cache are not among Input. Anthropic's API does not
// count those of pictures apart.
type counts struct {
	Input   int `json:"input_tokens"`
	Created int `json:"cache_creation_input_tokens"`
	Read    int `json:"cache_read_input_tokens"`
	Output  int `json:"output_tokens"`
	Image   int `json:"image_tokens,omitempty"` // of the prompt, cached or not
}

func countsOf(u engine.Usage) counts {
	return counts{Input: u.Prompt - u.Cached, Read: u.Cached, Output: u.Completion, Image: u.Image}
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type thought struct {
	Type      string `json:"type"`
	Thinking  string `json:"thinking"`
	Signature string `json:"signature"`
}

type call struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
	// Caller is the model itself, and no program that it wrote.
	Caller struct {
		Type string `json:"type"`
	} `json:"caller"`
}

// shapeOf returns a block with what it has so far.
func shapeOf(b *answer.Block, soFar string) any {
	switch b.Kind {
	case answer.Thought:
		return thought{"thinking", soFar, ""}
	case answer.Call:
		input := json.RawMessage(cmp.Or(soFar, "{}"))
		if !json.Valid(input) {
			input = json.RawMessage("{}") // cut off in the middle; stop_reason says so
		}
		c := call{Type: "tool_use", ID: b.CallID, Name: b.Name, Input: input}
		c.Caller.Type = "direct"
		return c
	}
	return text{"text", soFar}
}

// event is any event of a stream.
type event struct {
	Type    string   `json:"type"`
	Message *message `json:"message,omitempty"`
	Index   *int     `json:"index,omitempty"`
	Block   any      `json:"content_block,omitempty"`
	Delta   any      `json:"delta,omitempty"`
	Usage   *counts  `json:"usage,omitempty"`
}

// stopReasons are why an answer ended, in Anthropic's words.
var stopReasons = map[engine.FinishReason]string{engine.FinishStop: "end_turn",
	engine.FinishLength: "max_tokens", engine.FinishTools: "tool_use"}

// Messages renders a message, or its events.
type Messages struct{ message message }

// NewMessages returns the renderer of the answer to a request.
func NewMessages(q *Request) *Messages {
	return &Messages{message{ID: "msg_" + rand.Text(), Type: "message", Role: "assistant",
		Model: q.Model, Content: []any{}}}
}

// Step implements [answer.Renderer]: the events about what is new.
func (o *Messages) Step(s answer.Step) (out []answer.Piece) {
	send := func(e event) { out = append(out, answer.Piece{Event: e.Type, Data: e}) }
	if s.First {
		start := o.message
		start.Usage = countsOf(s.Answer.Prompt)
		send(event{Type: "message_start", Message: &start})
	}
	for i := range s.Deltas {
		d := &s.Deltas[i]
		switch d.Change {
		case answer.Began:
			send(event{Type: "content_block_start", Index: &d.Block.Index,
				Block: shapeOf(&d.Block, "")})
		case answer.Grew:
			send(event{Type: "content_block_delta", Index: &d.Block.Index, Delta: deltaOf(d)})
		case answer.Ended:
			send(event{Type: "content_block_stop", Index: &d.Block.Index})
		}
	}
	if s.Done != nil {
		o.finish(s.Done)
		send(event{Type: "message_delta", Usage: &o.message.Usage, Delta: struct {
			Reason   *string `json:"stop_reason"`
			Sequence *string `json:"stop_sequence"`
			Checked  *bool   `json:"schema_checked,omitempty"`
		}{o.message.StopReason, o.message.StopSequence, o.message.Checked}})
		send(event{Type: "message_stop"})
	}
	return out
}

// deltaOf returns what a block has more than before.
func deltaOf(d *answer.Delta) any {
	switch d.Block.Kind {
	case answer.Thought:
		return struct {
			Type     string `json:"type"`
			Thinking string `json:"thinking"`
		}{"thinking_delta", d.Text}
	case answer.Call:
		return struct {
			Type string `json:"type"`
			JSON string `json:"partial_json"`
		}{"input_json_delta", d.Text}
	}
	return text{"text_delta", d.Text}
}

// End implements [answer.Renderer]: the last event of the answer is that of the stream.
func (o *Messages) End(*answer.Set) []answer.Piece { return nil }

// Failed implements [answer.Renderer].
func (o *Messages) Failed(f *failure.Failure) []answer.Piece {
	return []answer.Piece{{Event: "error", Data: ErrorBody(f)}}
}

// Document implements [answer.Renderer]. A call that was cut off is left out; stop_reason says why.
func (o *Messages) Document(set *answer.Set) any {
	o.finish(set.Answers[0].Result)
	for _, b := range set.Answers[0].Blocks {
		if !b.Cut {
			o.message.Content = append(o.message.Content, shapeOf(b, b.Text))
		}
	}
	return o.message
}

// finish fills in what is known at the end of an answer.
func (o *Messages) finish(r *engine.Result) {
	reason := stopReasons[r.Finish]
	if r.StopText != "" && r.Finish == engine.FinishStop {
		reason, o.message.StopSequence = "stop_sequence", &r.StopText
	}
	o.message.Checked = answer.Checked(r)
	o.message.StopReason, o.message.Usage = &reason, countsOf(r.Usage)
}
