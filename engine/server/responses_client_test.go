// Compiled for the race detector, the client's module alone would take longer than all tests.

//go:build !race

package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// wants is a question about a picture in the words of responses.
func wants(t testing.TB, name, question string) responses.ResponseNewParams {
	image := responses.ResponseInputContentParamOfInputImage("auto")
	image.OfInputImage.ImageURL = openai.String(dataURL(t, name))
	return responses.ResponseNewParams{Model: "seed", Temperature: openai.Float(0),
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
			responses.ResponseInputItemParamOfMessage(
				responses.ResponseInputMessageContentListParam{image,
					responses.ResponseInputContentParamOfInputText(question)}, "user"),
		}}}
}

func TestResponses(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := wants(t, "shape-4.png", "What color is the background?")
	a, err := c.Responses.New(t.Context(), q)
	if err != nil || a.OutputText() != "cyan" || a.Status != "completed" ||
		a.Usage.InputTokens < 64 ||
		a.Usage.TotalTokens != a.Usage.InputTokens+a.Usage.OutputTokens {
		t.Fatalf("%v %s", err, a.RawJSON())
	}
	q.MaxOutputTokens = openai.Int(1)
	if a, err = c.Responses.New(t.Context(), q); err != nil || a.Status != "incomplete" ||
		a.IncompleteDetails.Reason != "max_output_tokens" {
		t.Errorf("%v %s", err, a.RawJSON())
	}
	text, err := c.Responses.New(t.Context(), responses.ResponseNewParams{Model: "seed",
		Instructions: openai.String("Answer."),
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(
			"What is it?")}})
	if err != nil || text.Status != "completed" {
		t.Errorf("%v", err)
	}
}

func TestResponsesStream(t *testing.T) {
	ts := serve(t)
	s := ts.openaiClient().Responses.NewStreaming(t.Context(),
		wants(t, "shape-4.png", "What color is the background?"))
	var names []string
	text, sequence := "", int64(0)
	for s.Next() {
		e := s.Current()
		if e.SequenceNumber != sequence {
			t.Errorf("event %d has the number %d", sequence, e.SequenceNumber)
		}
		sequence++
		if n := len(names); n == 0 || names[n-1] != e.Type {
			names = append(names, e.Type)
		}
		switch v := e.AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			text += v.Delta
		case responses.ResponseCompletedEvent:
			if v.Response.OutputText() != text || text != "cyan" {
				t.Errorf("%q, whole %q", text, v.Response.OutputText())
			}
		}
	}
	want := "response.created response.in_progress response.output_item.added response.content_part.added response.output_text.delta response.output_text.done " +
		"response.content_part.done response.output_item.done response.completed"
	if got := strings.Join(names, " "); s.Err() != nil || got != want {
		t.Errorf("%v\n%s", s.Err(), got)
	}
}

func TestResponsesToolsAndFormats(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := wants(t, "shape-4.png", "Paint it.")
	tool := responses.ToolParamOfFunction("paint", map[string]any{"type": "object",
		"properties": map[string]any{"color": map[string]any{"enum": []string{"red", "cyan"}},
			"size": map[string]any{"type": "integer", "minimum": 1, "maximum": 99}},
		"required": []string{"color", "size"}, "additionalProperties": false}, true)
	q.Tools = []responses.ToolUnionParam{tool}
	q.ToolChoice.OfToolChoiceMode = openai.Opt(responses.ToolChoiceOptionsRequired)
	q.ParallelToolCalls = openai.Bool(false)
	a, err := c.Responses.New(t.Context(), q)
	if err != nil || len(a.Output) != 1 || a.Output[0].Type != "function_call" {
		t.Fatalf("%v %s", err, a.RawJSON())
	}
	call := a.Output[0].AsFunctionCall()
	checkPaint(t, call.Name, call.Arguments)
	s := c.Responses.NewStreaming(t.Context(), q)
	arguments, whole := "", ""
	for s.Next() {
		switch v := s.Current().AsAny().(type) {
		case responses.ResponseFunctionCallArgumentsDeltaEvent:
			arguments += v.Delta
		case responses.ResponseFunctionCallArgumentsDoneEvent:
			whole = v.Arguments
		}
	}
	if s.Err() != nil || arguments != whole {
		t.Errorf("%v %q %q", s.Err(), arguments, whole)
	}
	checkPaint(t, "paint", whole)
	items := append(q.Input.OfInputItemList,
		responses.ResponseInputItemParamOfFunctionCall(call.Arguments, call.CallID, call.Name),
		responses.ResponseInputItemUnionParam{
			OfFunctionCallOutput: &responses.ResponseInputItemFunctionCallOutputParam{
				CallID: openai.String(call.CallID),
				Output: responses.ResponseInputItemFunctionCallOutputOutputUnionParam{
					OfString: openai.String("painted")}}})
	q = responses.ResponseNewParams{Model: "seed",
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: items}}
	q.Text.Format = responses.ResponseFormatTextConfigParamOfJSONSchema("sides",
		map[string]any{"type": "array", "items": map[string]any{"type": "integer", "minimum": 1,
			"maximum": 9}, "minItems": 2, "maxItems": 2})
	a, err = c.Responses.New(t.Context(), q)
	var sides []int
	if err != nil || json.Unmarshal([]byte(a.OutputText()), &sides) != nil || len(sides) != 2 {
		t.Errorf("%v %q", err, a.OutputText())
	}
}

func TestBadResponses(t *testing.T) {
	ts := serve(t)
	for says, body := range map[string]string{
		"input is empty":     `{"model":"seed"}`,
		"keeps no responses": `{"model":"seed","input":"x","previous_response_id":"resp_1"}`,
		"knows functions":    `{"model":"seed","input":"x","tools":[{"type":"web_search"}]}`,
		"takes message":      `{"model":"seed","input":[{"type":"computer_call"}]}`,
		"give developer":     `{"model":"seed","input":[{"role":"pope","content":"x"}]}`,
		"unsatisfiable":      `{"model":"seed","input":"x","text":{"format":{"type":"json_schema","name":"x","schema":{"type":"string","enum":[1]}}}}`,
		"leave background":   `{"model":"seed","input":"x","background":true}`,
		`"conversation"`:     `{"model":"seed","input":"x","conversation":"conv_1"}`,
		"keeps no prompts":   `{"model":"seed","input":"x","prompt":{"id":"pmpt_1"}}`,
	} {
		if r := ts.do(t, "POST", "/v1/responses", body); r.status != 400 ||
			!strings.Contains(r.text, says) {
			t.Errorf("%s: %d %s", body, r.status, r.text)
		}
	}
	if r := ts.do(t, "GET", "/v1/responses/resp_1", ""); r.status != 404 {
		t.Errorf("%d %s", r.status, r.text)
	}
}
