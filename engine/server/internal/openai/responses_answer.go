package openai

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// response is an answer in the words of OpenAI's newer API.
type response struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Created    int64  `json:"created_at"`
	Status     string `json:"status"` // in_progress, completed, incomplete or failed
	Error      any    `json:"error"`
	Incomplete *struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
	Instructions *string           `json:"instructions"`
	MaxTokens    *fields.Whole     `json:"max_output_tokens"`
	Model        string            `json:"model"`
	Output       []any             `json:"output"`
	Parallel     bool              `json:"parallel_tool_calls"`
	Previous     *string           `json:"previous_response_id"`
	Reasoning    map[string]any    `json:"reasoning"`
	Store        bool              `json:"store"`
	Temperature  float32           `json:"temperature"`
	Text         map[string]any    `json:"text"`
	ToolChoice   json.RawMessage   `json:"tool_choice"`
	Tools        []responseTool    `json:"tools"`
	TopP         float32           `json:"top_p"`
	Truncation   string            `json:"truncation"`
	Usage        *responseUsage    `json:"usage"`
	User         *string           `json:"user"`
	Metadata     map[string]string `json:"metadata"`
	Checked      *bool             `json:"schema_checked,omitempty"`
}

type responseUsage struct {
	Input   int `json:"input_tokens"`
	Details struct {
		Cached  int `json:"cached_tokens"`
		Written int `json:"cache_write_tokens"` // 0: writing the cache costs nobody anything
		Image   int `json:"image_tokens"`       // of pictures, which OpenAI does not tell
	} `json:"input_tokens_details"`
	Output        int `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total int `json:"total_tokens"`
}

// Items of an answer.
type (
	responseMessage struct {
		Type    string         `json:"type"`
		ID      string         `json:"id"`
		Status  string         `json:"status"`
		Role    string         `json:"role"`
		Content []responseText `json:"content"`
	}
	responseText struct {
		Type        string         `json:"type"`
		Text        string         `json:"text"`
		Annotations []any          `json:"annotations"`
		Logprobs    []TokenLogprob `json:"logprobs"`
	}
	responseCall struct {
		Type      string `json:"type"`
		ID        string `json:"id"`
		CallID    string `json:"call_id"`
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
		Status    string `json:"status"`
	}
	responseThought struct {
		Type    string                `json:"type"`
		ID      string                `json:"id"`
		Summary []any                 `json:"summary"`
		Content []responseThoughtText `json:"content"`
		Status  string                `json:"status"`
	}
	responseThoughtText struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
)

// responseEvent is any event of a stream.
type responseEvent struct {
	Type         string         `json:"type"`
	Sequence     int            `json:"sequence_number"`
	Response     *response      `json:"response,omitempty"`
	OutputIndex  *int           `json:"output_index,omitempty"`
	ItemID       string         `json:"item_id,omitempty"`
	Item         any            `json:"item,omitempty"`
	ContentIndex *int           `json:"content_index,omitempty"`
	Part         any            `json:"part,omitempty"`
	Delta        string         `json:"delta,omitempty"`
	Text         *string        `json:"text,omitempty"`
	Arguments    *string        `json:"arguments,omitempty"`
	Logprobs     []TokenLogprob `json:"logprobs,omitzero"`
	Message      string         `json:"message,omitempty"` // of an error, as the next two
	Code         *string        `json:"code,omitempty"`
	Param        *string        `json:"param,omitempty"`
}

// InputTokens is the answer to POST /v1/responses/input_tokens.
type InputTokens struct {
	Object string `json:"object"`
	Tokens int    `json:"input_tokens"`
}

// Responses renders a response, or its events.
type Responses struct {
	response response
	sequence int      // of the next event
	ids      []string // of the items that have one
}

// NewResponses returns the renderer of the answer to a request that is sampled so.
func NewResponses(q *ResponseRequest, s engine.Sampling) *Responses {
	format := any(map[string]any{"type": "text"})
	if fields, ok := fields.Object(q.Text); ok && fields["format"] != nil {
		format = fields["format"]
	}
	r := response{
		ID:        "resp_" + rand.Text(),
		Object:    "response",
		Created:   time.Now().Unix(),
		Status:    "in_progress",
		MaxTokens: q.MaxTokens,
		Model:     q.Model,
		Output:    []any{},
		Parallel:  q.Parallel == nil || *q.Parallel,
		Reasoning: map[string]any{"effort": nil,
			"summary": nil},
		Temperature: s.Temperature,
		TopP:        s.TopP,
		Text:        map[string]any{"format": format},
		ToolChoice:  q.ToolChoice,
		Tools:       q.Tools,
		Truncation:  cmp.Or(q.Truncation, "disabled"),
		Metadata:    q.Metadata,
	}
	if r.TopP == 0 {
		r.TopP = 1
	}
	if q.Instructions != "" {
		r.Instructions = &q.Instructions
	}
	if q.Reasoning.Effort != "" {
		r.Reasoning["effort"] = q.Reasoning.Effort
	}
	if q.User != "" {
		r.User = &q.User
	}
	if len(r.ToolChoice) == 0 {
		r.ToolChoice = json.RawMessage(`"auto"`)
	}
	if r.Tools == nil {
		r.Tools = []responseTool{}
	}
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	return &Responses{response: r}
}

// Step implements [answer.Renderer]: the events about what is new.
func (o *Responses) Step(s answer.Step) (out []answer.Piece) {
	send := func(e responseEvent) {
		e.Sequence = o.sequence
		o.sequence++
		out = append(out, answer.Piece{Event: e.Type, Data: e})
	}
	if s.First {
		start := o.response
		send(responseEvent{Type: "response.created", Response: &start})
		send(responseEvent{Type: "response.in_progress", Response: &start})
	}
	for i := range s.Deltas {
		switch d := &s.Deltas[i]; d.Change {
		case answer.Began:
			o.began(&d.Block, send)
		case answer.Grew:
			o.grew(d, send)
		case answer.Ended:
			o.ended(&d.Block, send)
		}
	}
	if s.Done != nil {
		o.finish(s.Answer, true)
		send(responseEvent{Type: "response." + o.response.Status, Response: &o.response})
	}
	return out
}

// End implements [answer.Renderer]: the last event of the answer is that of the stream.
func (o *Responses) End(*answer.Set) []answer.Piece { return nil }

// Failed implements [answer.Renderer].
func (o *Responses) Failed(f *failure.Failure) []answer.Piece {
	e, code := errorOf(f), "server_error"
	if e.Code != nil {
		code = *e.Code
	}
	o.response.Status = "failed"
	o.response.Error = map[string]any{"code": code, "message": e.Message}
	event := responseEvent{Type: "response.failed", Sequence: o.sequence, Response: &o.response}
	return []answer.Piece{{Event: event.Type, Data: event}}
}

// Document implements [answer.Renderer].
func (o *Responses) Document(set *answer.Set) any {
	o.finish(set.Answers[0], false)
	return o.response
}

// finish fills in what is known at the end of an answer. A call that was cut off is left out where
// no event has told of it: incomplete_details says why.
func (o *Responses) finish(a *answer.Answer, streamed bool) {
	r := &o.response
	r.Status = "completed"
	if a.Result.Finish == engine.FinishLength {
		r.Status = "incomplete"
		r.Incomplete = &struct {
			Reason string `json:"reason"`
		}{"max_output_tokens"}
	}
	r.Checked = answer.Checked(a.Result)
	u := a.Result.Usage
	r.Usage = &responseUsage{Input: u.Prompt, Output: u.Completion, Total: u.Prompt + u.Completion}
	r.Usage.Details.Cached, r.Usage.Details.Image = u.Cached, u.Image
	for i, b := range a.Blocks {
		if b.Cut && !streamed {
			continue
		}
		status := "completed"
		if i == len(a.Blocks)-1 {
			status = r.Status
		}
		r.Output = append(r.Output, o.item(b, status, true))
	}
}

var itemPrefixes = map[answer.Kind]string{answer.Thought: "rs_", answer.Text: "msg_",
	answer.Call: "fc_"}

// item returns a block as an item, with its content or before it.
func (o *Responses) item(b *answer.Block, status string, whole bool) any {
	if len(o.ids) <= b.Index {
		o.ids = append(o.ids, itemPrefixes[b.Kind]+rand.Text())
	}
	id := o.ids[b.Index]
	switch b.Kind {
	case answer.Thought:
		t := responseThought{"reasoning", id, []any{}, []responseThoughtText{}, status}
		if whole {
			t.Content = append(t.Content, responseThoughtText{"reasoning_text", b.Text})
		}
		return t
	case answer.Call:
		c := responseCall{"function_call", id, b.CallID, b.Name, "", status}
		if whole {
			c.Arguments = b.Text
		}
		return c
	}
	m := responseMessage{"message", id, status, "assistant", []responseText{}}
	if whole {
		m.Content = append(m.Content, textPart(b))
	}
	return m
}

func textPart(b *answer.Block) responseText {
	return responseText{"output_text", b.Text, []any{}, logprobsOf(b.Logprobs, true)}
}

// part returns the content of a block with content, nil for a call.
func part(b *answer.Block) any {
	switch b.Kind {
	case answer.Thought:
		return responseThoughtText{"reasoning_text", b.Text}
	case answer.Text:
		return textPart(b)
	}
	return nil
}

var zero = new(int)

// itemEvents are the names of events about the content of blocks.
var itemEvents = map[answer.Kind]string{answer.Thought: "response.reasoning_text",
	answer.Text: "response.output_text", answer.Call: "response.function_call_arguments"}

func (o *Responses) began(b *answer.Block, send func(responseEvent)) {
	send(responseEvent{Type: "response.output_item.added", OutputIndex: &b.Index,
		Item: o.item(b, "in_progress", false)})
	if b.Kind != answer.Call {
		send(responseEvent{Type: "response.content_part.added", OutputIndex: &b.Index,
			ItemID: o.ids[b.Index], ContentIndex: zero, Part: part(b)})
	}
}

func (o *Responses) grew(d *answer.Delta, send func(responseEvent)) {
	b := &d.Block
	e := responseEvent{Type: itemEvents[b.Kind] + ".delta", OutputIndex: &b.Index,
		ItemID: o.ids[b.Index], Delta: d.Text}
	if b.Kind != answer.Call {
		e.ContentIndex = zero
	}
	if b.Kind == answer.Text {
		e.Logprobs = withoutBytes(logprobsOf(d.Logprobs, true))
	}
	send(e)
}

func (o *Responses) ended(b *answer.Block, send func(responseEvent)) {
	e := responseEvent{Type: itemEvents[b.Kind] + ".done", OutputIndex: &b.Index,
		ItemID: o.ids[b.Index]}
	if b.Kind == answer.Call {
		e.Arguments = &b.Text
	} else {
		e.Text, e.ContentIndex = &b.Text, zero
	}
	if b.Kind == answer.Text {
		e.Logprobs = withoutBytes(logprobsOf(b.Logprobs, true))
	}
	send(e)
	if p := part(b); p != nil {
		send(responseEvent{Type: "response.content_part.done", OutputIndex: &b.Index,
			ItemID: o.ids[b.Index], ContentIndex: zero, Part: p})
	}
	status := "completed"
	if b.Cut {
		status = "incomplete"
	}
	send(responseEvent{Type: "response.output_item.done", OutputIndex: &b.Index,
		Item: o.item(b, status, true)})
}

// withoutBytes takes the bytes from tokens, which events do not have.
func withoutBytes(list []TokenLogprob) []TokenLogprob {
	for i := range list {
		list[i].Bytes, list[i].Top = nil, withoutBytes(list[i].Top)
	}
	return list
}
