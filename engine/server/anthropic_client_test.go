// Compiled for the race detector, the client's module alone would take longer than all tests.

//go:build !race

package server

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	wire "github.com/eyelet-engine/eyelet/engine/server/internal/anthropic"
)

// anthropicClient is Anthropic's own Go client.
func (ts *testServer) anthropicClient() *anthropic.Client {
	c := anthropic.NewClient(option.WithBaseURL(ts.url), option.WithHTTPClient(ts.http),
		option.WithAPIKey("none"), option.WithMaxRetries(0))
	return &c
}

// says is a question about a picture in Anthropic's words.
func says(t testing.TB, name, question string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{Model: "seed", MaxTokens: 100,
		Temperature: anthropic.Float(0), Messages: []anthropic.MessageParam{
			anthropic.NewUserMessage(anthropic.NewImageBlockBase64("image/png",
				base64.StdEncoding.EncodeToString(picture(t, name))),
				anthropic.NewTextBlock(question)),
		}}
}

func TestAnthropicMessages(t *testing.T) {
	ts := serve(t)
	c := ts.anthropicClient()
	q := says(t, "shape-4.png", "What color is the background?")
	a, err := c.Messages.New(t.Context(), q)
	if err != nil || len(a.Content) != 1 || a.Content[0].Text != "cyan" ||
		a.StopReason != "end_turn" || a.Usage.InputTokens < 64 || a.Usage.OutputTokens == 0 {
		t.Fatalf("%v %s", err, a.RawJSON())
	}
	n, err := c.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: "seed",
		Messages: q.Messages})
	if err != nil || n.InputTokens != a.Usage.InputTokens {
		t.Errorf("%v %d tokens, counted %d", err, a.Usage.InputTokens, n.InputTokens)
	}
	q.Messages = append(q.Messages, a.ToParam(),
		anthropic.NewUserMessage(anthropic.NewTextBlock("What color is the circle?")))
	s := c.Messages.NewStreaming(t.Context(), q)
	var whole anthropic.Message
	for s.Next() {
		if err := whole.Accumulate(s.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Err() != nil || len(whole.Content) != 1 || whole.Content[0].Text != "orange" ||
		whole.StopReason != "end_turn" || whole.Usage.OutputTokens == 0 {
		t.Errorf("%v %+v", s.Err(), whole)
	}
	q = says(t, "shape-4.png", "What is in this picture?")
	q.StopSequences = []string{"ge ci"}
	if a, err := c.Messages.New(t.Context(), q); err != nil || a.StopReason != "stop_sequence" ||
		a.StopSequence != "ge ci" || a.Content[0].Text != "an oran" {
		t.Errorf("%v %s", err, a.RawJSON())
	}
	q.MaxTokens, q.StopSequences = 2, nil
	if a, err := c.Messages.New(t.Context(), q); err != nil || a.StopReason != "max_tokens" {
		t.Errorf("%v %s", err, a.RawJSON())
	}
}

func TestAnthropicTools(t *testing.T) {
	ts := serve(t)
	c := ts.anthropicClient()
	q := says(t, "shape-4.png", "Paint it.")
	q.Tools = []anthropic.ToolUnionParam{anthropic.ToolUnionParamOfTool(
		anthropic.ToolInputSchemaParam{
			Properties: map[string]any{"color": map[string]any{"enum": []string{"red", "cyan"}},
				"size": map[string]any{"type": "integer", "minimum": 1, "maximum": 99}},
			Required: []string{"color", "size"}}, "paint")}
	q.ToolChoice = anthropic.ToolChoiceParamOfTool("paint")
	q.ToolChoice.OfTool.DisableParallelToolUse = anthropic.Bool(true)
	a, err := c.Messages.New(t.Context(), q)
	if err != nil || len(a.Content) != 1 || a.Content[0].Type != "tool_use" ||
		a.StopReason != "tool_use" {
		t.Fatalf("%v %s", err, a.RawJSON())
	}
	use := a.Content[0].AsToolUse()
	checkPaint(t, use.Name, string(use.Input))
	s := c.Messages.NewStreaming(t.Context(), q)
	var whole anthropic.Message
	for s.Next() {
		if err := whole.Accumulate(s.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if s.Err() != nil || len(whole.Content) != 1 {
		t.Fatalf("%v %+v", s.Err(), whole)
	}
	checkPaint(t, whole.Content[0].Name, string(whole.Content[0].Input))
	q.Messages = append(q.Messages, a.ToParam(),
		anthropic.NewUserMessage(anthropic.NewToolResultBlock(use.ID, "painted", false),
			anthropic.NewTextBlock("What color is it?")))
	q.ToolChoice = anthropic.ToolChoiceUnionParam{OfNone: &anthropic.ToolChoiceNoneParam{}}
	if a, err := c.Messages.New(t.Context(), q); err != nil || a.StopReason == "tool_use" {
		t.Errorf("%v %s", err, a.RawJSON())
	}
	q.OutputConfig.Format =
		anthropic.JSONOutputFormatParam{Schema: map[string]any{"enum": []string{"red", "cyan"}}}
	if a, err := c.Messages.New(t.Context(), q); err != nil || a.Content[0].Text != `"red"` &&
		a.Content[0].Text != `"cyan"` {
		t.Errorf("%v %s", err, a.RawJSON())
	}
}

func TestAnthropicErrors(t *testing.T) {
	ts := serve(t)
	c := ts.anthropicClient()
	q := says(t, "shape-4.png", "x")
	q.Model = "nobody"
	_, err := c.Messages.New(t.Context(), q)
	if e, ok := errors.AsType[*anthropic.Error](err); !ok || e.StatusCode != 404 ||
		!strings.Contains(e.RawJSON(), "not_found_error") {
		t.Errorf("%v", err)
	}
	with := func(more string) string { return `{"model":"seed","max_tokens":5,` + more + `}` }
	for want, body := range map[string]string{
		"not JSON":              `{`,
		"max_tokens is missing": `{"model":"seed","messages":[{"role":"user","content":"x"}]}`,
		"at least one":          with(`"messages":[]`),
		"no content":            with(`"messages":[{"role":"user","content":[]}]`),
		"takes text": with(
			`"messages":[{"role":"user","content":[{"type":"video"}]}]`),
		"no source": with(
			`"messages":[{"role":"user","content":[{"type":"image"}]}]`),
		"content.0 has no source": with(
			`"messages":[{"role":"user","content":[{"type":"document"}]}]`),
		"base64":   with(`"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"!"}}]}]`),
		"data URL": with(`"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://example.org/a.png"}}]}]`),
		"0 to 2": with(
			`"temperature":-1,"messages":[{"role":"user","content":"x"}]`),
		"give auto": with(
			`"tool_choice":{"type":"perhaps"},"messages":[{"role":"user","content":"x"}]`),
		"servers of tools":   with(`"mcp_servers":[{"type":"url","url":"https://example.org","name":"x"}],"messages":[{"role":"user","content":"x"}]`),
		"of the client only": with(`"tools":[{"type":"bash_20250124","name":"bash"}],"messages":[{"role":"user","content":"x"}]`),
	} {
		r := ts.do(t, "POST", "/v1/messages", body)
		var e wire.Error
		if err := json.Unmarshal([]byte(r.text), &e); err != nil || r.status != 400 ||
			e.Type != "error" || e.Error.Type != "invalid_request_error" ||
			!strings.Contains(e.Error.Message, want) {
			t.Errorf("%s: %d %s", body, r.status, r.text)
		}
	}
}

func TestAnthropicStreamsEndWithTheirClients(t *testing.T) {
	ts := serve(t)
	q := says(t, "shape-4.png", "What is in this picture?")
	q.MaxTokens = 4000
	s := ts.anthropicClient().Messages.NewStreaming(t.Context(), q)
	leaveStream(t, ts, s)
}

func TestAnthropicModels(t *testing.T) {
	ts := serve(t)
	list, err := ts.anthropicClient().Models.List(t.Context(), anthropic.ModelListParams{})
	if err != nil || len(list.Data) == 0 {
		t.Error(err)
	}
}
