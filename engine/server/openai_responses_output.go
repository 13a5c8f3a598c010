package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine"
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
	MaxTokens    *whole            `json:"max_output_tokens"`
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
	} `json:"input_tokens_details"`
	Output        int `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total int `json:"total_tokens"`
}

// The items of an answer.
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
		Logprobs    []tokenLogprob `json:"logprobs"`
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
	Logprobs     []tokenLogprob `json:"logprobs,omitzero"`
	Message      string         `json:"message,omitempty"` // of an error, as the next two
	Code         *string        `json:"code,omitempty"`
	Param        *string        `json:"param,omitempty"`
}

// responseOutput makes a response, or its events, of an answer.
type responseOutput struct {
	blocks
	response response
	events   *events // nil for a response at once
	sequence int
	ids      []string // of the items
}

func newResponseOutput(q *responseRequest, s engine.Sampling) *responseOutput {
	format := any(map[string]any{"type": "text"})
	if fields, ok := fieldsOf(q.Text); ok && fields["format"] != nil {
		format = fields["format"]
	}
	r := response{
		ID: "resp_" + rand.Text(), Object: "response", Created: now(), Status: "in_progress",
		MaxTokens: q.MaxTokens, Model: q.Model, Output: []any{},
		Parallel: q.Parallel == nil || *q.Parallel, Reasoning: map[string]any{"effort": nil,
			"summary": nil}, Temperature: s.Temperature, TopP: s.TopP,
		Text: map[string]any{"format": format}, ToolChoice: q.ToolChoice, Tools: q.Tools,
		Truncation: cmp.Or(q.Truncation, "disabled"), Metadata: q.Metadata,
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
	return &responseOutput{response: r}
}

// send numbers an event and sends it.
func (o *responseOutput) send(e responseEvent) error {
	e.Sequence = o.sequence
	o.sequence++
	return o.events.send(e.Type, e)
}

// event takes an event of the answer.
func (o *responseOutput) event(e engine.Event) error {
	if o.events != nil && !o.events.begun {
		for _, name := range []string{"response.created", "response.in_progress"} {
			if err := o.send(responseEvent{Type: name, Response: &o.response}); err != nil {
				return err
			}
		}
	}
	if err := o.take(e); err != nil || e.Done == nil {
		return err
	}
	if err := o.end(); err != nil {
		return err
	}
	r := &o.response
	r.Status = "completed"
	if e.Done.Finish == engine.FinishLength {
		r.Status = "incomplete"
		r.Incomplete = &struct {
			Reason string `json:"reason"`
		}{"max_output_tokens"}
	}
	r.Checked = checked(e.Done)
	u := e.Done.Usage
	r.Usage = &responseUsage{Input: u.Prompt, Output: u.Completion, Total: u.Prompt + u.Completion}
	r.Usage.Details.Cached = u.Cached
	for i, b := range o.list {
		if b.cut && o.events == nil {
			continue // incomplete_details says why
		}
		status := "completed"
		if i == len(o.list)-1 {
			status = r.Status
		}
		r.Output = append(r.Output, o.item(b, status, true))
	}
	if o.events == nil {
		return nil
	}
	return o.send(responseEvent{Type: "response." + r.Status, Response: r})
}

// fail tells of an error in the middle of a stream.
func (o *responseOutput) fail(ctx context.Context, err error) error {
	if o.events == nil || !o.events.begun {
		return err
	}
	f := openaiErrorOf(failureOf(ctx, err))
	o.response.Status = "failed"
	o.response.Error = map[string]any{"code": cmp.Or(deref(f.Code), "server_error"),
		"message": f.Message}
	// the client may be gone
	_ = o.send(responseEvent{Type: "response.failed", Response: &o.response})
	return err
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

var itemPrefixes = map[blockKind]string{thoughtBlock: "rs_", textBlock: "msg_", callBlock: "fc_"}

// item is a block as an item, with its content or before it.
func (o *responseOutput) item(b *block, status string, whole bool) any {
	if len(o.ids) <= b.index {
		o.ids = append(o.ids, itemPrefixes[b.kind]+rand.Text())
	}
	id := o.ids[b.index]
	switch b.kind {
	case thoughtBlock:
		t := responseThought{"reasoning", id, []any{}, []responseThoughtText{}, status}
		if whole {
			t.Content = append(t.Content, responseThoughtText{"reasoning_text", b.text})
		}
		return t
	case callBlock:
		c := responseCall{"function_call", id, b.callID, b.name, "", status}
		if whole {
			c.Arguments = b.text
		}
		return c
	}
	m := responseMessage{"message", id, status, "assistant", []responseText{}}
	if whole {
		m.Content = append(m.Content, textPart(b))
	}
	return m
}

func textPart(b *block) responseText {
	return responseText{"output_text", b.text, []any{}, logprobsOf(b.logprobs, true)}
}

// part is the content of a block with content, nil for a call.
func part(b *block) any {
	switch b.kind {
	case thoughtBlock:
		return responseThoughtText{"reasoning_text", b.text}
	case textBlock:
		return textPart(b)
	}
	return nil
}

var zero = new(int)

func (o *responseOutput) itemBegun(b *block) error {
	item := o.item(b, "in_progress", false)
	if err := o.send(responseEvent{Type: "response.output_item.added", OutputIndex: &b.index,
		Item: item}); err != nil {
		return err
	}
	if b.kind == callBlock {
		return nil
	}
	return o.send(responseEvent{Type: "response.content_part.added", OutputIndex: &b.index,
		ItemID: o.ids[b.index], ContentIndex: zero, Part: part(b)})
}

// kinds of events about the content of blocks.
var itemEvents = map[blockKind]string{thoughtBlock: "response.reasoning_text",
	textBlock: "response.output_text", callBlock: "response.function_call_arguments"}

func (o *responseOutput) itemGrown(b *block, text string, logprobs []engine.TokenLogprob) error {
	e := responseEvent{Type: itemEvents[b.kind] + ".delta", OutputIndex: &b.index,
		ItemID: o.ids[b.index], Delta: text}
	if b.kind != callBlock {
		e.ContentIndex = zero
	}
	if b.kind == textBlock {
		e.Logprobs = withoutBytes(logprobsOf(logprobs, true))
	}
	return o.send(e)
}

// withoutBytes takes the bytes from tokens, which events do not have.
func withoutBytes(list []tokenLogprob) []tokenLogprob {
	for i := range list {
		list[i].Bytes, list[i].Top = nil, withoutBytes(list[i].Top)
	}
	return list
}

func (o *responseOutput) itemEnded(b *block) error {
	text, id := b.text, o.ids[b.index]
	done := responseEvent{Type: itemEvents[b.kind] + ".done", OutputIndex: &b.index, ItemID: id}
	if b.kind == callBlock {
		done.Arguments = &text
	} else {
		done.Text, done.ContentIndex = &text, zero
	}
	if b.kind == textBlock {
		done.Logprobs = withoutBytes(logprobsOf(b.logprobs, true))
	}
	if err := o.send(done); err != nil {
		return err
	}
	if p := part(b); p != nil {
		if err := o.send(responseEvent{Type: "response.content_part.done", OutputIndex: &b.index,
			ItemID: id, ContentIndex: zero, Part: p}); err != nil {
			return err
		}
	}
	status := "completed"
	if b.cut {
		status = "incomplete"
	}
	return o.send(responseEvent{Type: "response.output_item.done", OutputIndex: &b.index,
		Item: o.item(b, status, true)})
}
