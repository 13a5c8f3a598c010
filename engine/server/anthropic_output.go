package server

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/eyelet-engine/eyelet/engine"
)

// Fields that this server has nothing for are left out, as in Anthropic's own answers, though its
// schema calls them required: a null in their place is more than some clients take.

// anthropicAnswer is a message of the model's.
type anthropicAnswer struct {
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	Role         string          `json:"role"`
	Model        string          `json:"model"`
	Content      []any           `json:"content"`
	StopReason   *string         `json:"stop_reason"`
	StopSequence *string         `json:"stop_sequence"`
	Usage        anthropicCounts `json:"usage"`
	Checked      *bool           `json:"schema_checked,omitempty"`
}

// anthropicCounts counts tokens. Those that stood in the cache are not among Input.
type anthropicCounts struct {
	Input   int `json:"input_tokens"`
	Created int `json:"cache_creation_input_tokens"`
	Read    int `json:"cache_read_input_tokens"`
	Output  int `json:"output_tokens"`
}

func anthropicUsageOf(u engine.Usage) anthropicCounts {
	return anthropicCounts{Input: u.Prompt - u.Cached, Read: u.Cached, Output: u.Completion}
}

type anthropicText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type anthropicThought struct {
	Type      string `json:"type"`
	Thinking  string `json:"thinking"`
	Signature string `json:"signature"`
}

type anthropicCall struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
	// Caller is the model itself, and no program that it wrote.
	Caller struct {
		Type string `json:"type"`
	} `json:"caller"`
}

// anthropicShape is a block with what it has so far.
func anthropicShape(b *block, text string) any {
	switch b.kind {
	case thoughtBlock:
		return anthropicThought{"thinking", text, ""}
	case callBlock:
		input := json.RawMessage(cmp.Or(text, "{}"))
		if !json.Valid(input) {
			input = json.RawMessage("{}") // cut off in the middle; stop_reason says so
		}
		call := anthropicCall{Type: "tool_use", ID: b.callID, Name: b.name, Input: input}
		call.Caller.Type = "direct"
		return call
	}
	return anthropicText{Type: "text", Text: text}
}

// messageOutput makes a message, or its events, of an answer.
type messageOutput struct {
	blocks
	s       *Server
	message anthropicAnswer
	events  *events // nil for a message at once
}

// messageEvent is any event of a stream.
type messageEvent struct {
	Type    string           `json:"type"`
	Message *anthropicAnswer `json:"message,omitempty"`
	Index   *int             `json:"index,omitempty"`
	Block   any              `json:"content_block,omitempty"`
	Delta   any              `json:"delta,omitempty"`
	Usage   *anthropicCounts `json:"usage,omitempty"`
}

func (o *messageOutput) send(e messageEvent) error { return o.events.send(e.Type, e) }

var anthropicStops = map[engine.FinishReason]string{engine.FinishStop: "end_turn",
	engine.FinishLength: "max_tokens", engine.FinishTools: "tool_use"}

// event takes an event of the answer.
func (o *messageOutput) event(e engine.Event) error {
	if o.events != nil && !o.events.begun {
		start := o.message
		if e.Usage != nil {
			start.Usage = anthropicUsageOf(*e.Usage)
		}
		if err := o.send(messageEvent{Type: "message_start", Message: &start}); err != nil {
			return err
		}
	}
	if err := o.take(e); err != nil || e.Done == nil {
		return err
	}
	if err := o.end(); err != nil {
		return err
	}
	reason := anthropicStops[e.Done.Finish]
	if e.Done.StopText != "" && e.Done.Finish == engine.FinishStop {
		reason, o.message.StopSequence = "stop_sequence", &e.Done.StopText
	}
	o.message.Checked = checked(e.Done)
	o.message.StopReason, o.message.Usage = &reason, anthropicUsageOf(e.Done.Usage)
	if o.events == nil {
		for _, b := range o.list {
			if b.cut {
				continue // stop_reason says why
			}
			o.message.Content = append(o.message.Content, anthropicShape(b, b.text))
		}
		return nil
	}
	delta := struct {
		Reason   *string `json:"stop_reason"`
		Sequence *string `json:"stop_sequence"`
		Checked  *bool   `json:"schema_checked,omitempty"`
	}{Reason: o.message.StopReason, Sequence: o.message.StopSequence, Checked: o.message.Checked}
	if err := o.send(messageEvent{Type: "message_delta", Delta: delta,
		Usage: &o.message.Usage}); err != nil {
		return err
	}
	return o.send(messageEvent{Type: "message_stop"})
}

// fail tells of an error in the middle of a stream.
func (o *messageOutput) fail(ctx context.Context, err error) error {
	if o.events != nil && o.events.begun {
		_ = o.events.send("error", anthropicErrorOf(failureOf(ctx, err))) // the client may be gone
	}
	return err
}

func (o *messageOutput) blockBegun(b *block) error {
	return o.send(messageEvent{Type: "content_block_start", Index: &b.index,
		Block: anthropicShape(b, "")})
}

func (o *messageOutput) blockGrown(b *block, text string, _ []engine.TokenLogprob) error {
	var delta any
	switch b.kind {
	case thoughtBlock:
		delta = struct {
			Type     string `json:"type"`
			Thinking string `json:"thinking"`
		}{"thinking_delta", text}
	case textBlock:
		delta = struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}{"text_delta", text}
	case callBlock:
		delta = struct {
			Type string `json:"type"`
			JSON string `json:"partial_json"`
		}{"input_json_delta", text}
	}
	return o.send(messageEvent{Type: "content_block_delta", Index: &b.index, Delta: delta})
}

func (o *messageOutput) blockEnded(b *block) error {
	return o.send(messageEvent{Type: "content_block_stop", Index: &b.index})
}
