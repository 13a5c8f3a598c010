// Compiled for the race detector, the client's module alone would take longer than all tests.

//go:build !race

package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// openai is OpenAI's own Go client.
func (ts *testServer) openaiClient() *openai.Client {
	c := openai.NewClient(option.WithBaseURL(ts.url+"/v1/"), option.WithHTTPClient(ts.http),
		option.WithAPIKey("none"), option.WithMaxRetries(0))
	return &c
}

// asks is a question about a picture.
func asks(t testing.TB, name, question string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "seed", Temperature: openai.Float(0),
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
				openai.ImageContentPart(
					openai.ChatCompletionContentPartImageImageURLParam{URL: dataURL(
						t, name)}), openai.TextContentPart(question)}),
		}}
}

func TestOpenAIChatSeesPictures(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := asks(t, "shape-4.png", "What color is the background?")
	a, err := c.Chat.Completions.New(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Choices) != 1 || a.Choices[0].Message.Content != "cyan" ||
		a.Choices[0].FinishReason != "stop" || a.Object != "chat.completion" || a.Model != "seed" {
		t.Errorf("%s", a.RawJSON())
	}
	if u := a.Usage; u.PromptTokens < 64 || u.CompletionTokens < 1 ||
		u.TotalTokens != u.PromptTokens+u.CompletionTokens {
		t.Errorf("%+v", u)
	}
	q.Messages = append(q.Messages, a.Choices[0].Message.ToParam(),
		openai.UserMessage("What color is the circle?"))
	q.StreamOptions.IncludeUsage = openai.Bool(true)
	s := c.Chat.Completions.NewStreaming(t.Context(), q)
	acc := openai.ChatCompletionAccumulator{}
	for s.Next() {
		if !acc.AddChunk(s.Current()) {
			t.Fatalf("%s", s.Current().RawJSON())
		}
	}
	if err := s.Err(); err != nil || len(acc.Choices) != 1 ||
		acc.Choices[0].Message.Content != "orange" || acc.Choices[0].FinishReason != "stop" {
		t.Errorf("%v %+v", err, acc.Choices)
	}
	if u := acc.Usage; u.PromptTokensDetails.CachedTokens < 64 || u.TotalTokens == 0 {
		t.Errorf("%+v", u)
	}
}

func TestOpenAIChatChoices(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := asks(t, "shape-4.png", "What is in this picture?")
	q.N, q.Logprobs, q.TopLogprobs = openai.Int(3), openai.Bool(true), openai.Int(2)
	q.Stop = openai.ChatCompletionNewParamsStopUnion{OfStringArray: []string{"never said", "ge ci"}}
	a, err := c.Chat.Completions.New(t.Context(), q)
	if err != nil || len(a.Choices) != 3 {
		t.Fatal(err, a)
	}
	for i, choice := range a.Choices {
		if choice.Message.Content != "an oran" || choice.FinishReason != "stop" ||
			int(choice.Index) != i {
			t.Errorf("%+v", choice)
		}
		if n := len(choice.Logprobs.Content); n == 0 ||
			len(choice.Logprobs.Content[0].TopLogprobs) != 2 ||
			choice.Logprobs.Content[0].Logprob > 0 {
			t.Errorf("%d tokens, %s", n, choice.Logprobs.RawJSON())
		}
	}
	q = asks(t, "shape-4.png", "What is in this picture?")
	q.MaxCompletionTokens, q.Seed, q.Temperature = openai.Int(5), openai.Int(7), openai.Float(2)
	var before string
	for i := range 2 {
		a, err := c.Chat.Completions.New(t.Context(), q)
		if err != nil || a.Choices[0].FinishReason != "length" || a.Usage.CompletionTokens > 5 {
			t.Fatal(err, a)
		}
		if i > 0 && a.Choices[0].Message.Content != before {
			t.Logf("seed 7: %q, then %q (near ties may fall the other way)", before,
				a.Choices[0].Message.Content)
		}
		before = a.Choices[0].Message.Content
	}
	q.N, q.StreamOptions.IncludeUsage = openai.Int(2), openai.Bool(true)
	s := c.Chat.Completions.NewStreaming(t.Context(), q)
	acc := openai.ChatCompletionAccumulator{}
	for s.Next() {
		acc.AddChunk(s.Current())
	}
	if s.Err() != nil || len(acc.Choices) != 2 || acc.Choices[1].FinishReason != "length" ||
		acc.Usage.CompletionTokens != 10 {
		t.Errorf("%v %+v %+v", s.Err(), acc.Choices, acc.Usage)
	}
}

var paintTool = openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "paint",
	Description: openai.String("Paint a shape."), Parameters: map[string]any{
		"type": "object", "properties": map[string]any{
			"color": map[string]any{"enum": []string{"red", "cyan"}},
			"size":  map[string]any{"type": "integer", "minimum": 1, "maximum": 99}},
		"required": []string{"color", "size"}, "additionalProperties": false,
	}})

func checkPaint(t *testing.T, name, arguments string) {
	t.Helper()
	var args struct {
		Color string
		Size  int
	}
	if err := json.Unmarshal([]byte(arguments), &args); err != nil || name != "paint" ||
		args.Color != "red" && args.Color != "cyan" || args.Size < 1 || args.Size > 99 {
		t.Errorf("%s(%s): %v", name, arguments, err)
	}
}

func TestOpenAITools(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := asks(t, "shape-4.png", "Paint it.")
	q.Tools = []openai.ChatCompletionToolUnionParam{paintTool}
	q.ToolChoice = openai.ToolChoiceOptionFunctionToolChoice(
		openai.ChatCompletionNamedToolChoiceFunctionParam{Name: "paint"})
	q.ParallelToolCalls = openai.Bool(false)
	a, err := c.Chat.Completions.New(t.Context(), q)
	if err != nil || len(a.Choices[0].Message.ToolCalls) != 1 ||
		a.Choices[0].FinishReason != "tool_calls" {
		t.Fatal(err, a)
	}
	call := a.Choices[0].Message.ToolCalls[0]
	checkPaint(t, call.Function.Name, call.Function.Arguments)
	s := c.Chat.Completions.NewStreaming(t.Context(), q)
	acc := openai.ChatCompletionAccumulator{}
	finished := 0
	for s.Next() {
		acc.AddChunk(s.Current())
		if tool, ok := acc.JustFinishedToolCall(); ok {
			finished++
			checkPaint(t, tool.Name, tool.Arguments)
		}
	}
	if s.Err() != nil || finished != 1 || acc.Choices[0].FinishReason != "tool_calls" {
		t.Errorf("%v %d %+v", s.Err(), finished, acc.Choices)
	}
	q.Messages = append(q.Messages, a.Choices[0].Message.ToParam(), openai.ToolMessage("painted",
		call.ID))
	q.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("none")}
	if a, err := c.Chat.Completions.New(t.Context(), q); err != nil ||
		len(a.Choices[0].Message.ToolCalls) != 0 {
		t.Error(err, a)
	}
	q.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("auto")}
	if _, err := c.Chat.Completions.New(t.Context(), q); err != nil {
		t.Error(err)
	}
}

func TestOpenAIStructuredOutput(t *testing.T) {
	ts := serve(t)
	q := asks(t, "shape-4.png", "What is in this picture?")
	q.Temperature, q.Seed = openai.Float(2), openai.Int(3)
	q.ResponseFormat.OfJSONSchema =
		&shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
				Name: "shape", Schema: map[string]any{
					"type": "object", "properties": map[string]any{
						"shape": map[string]any{"enum": []string{"circle", "star"}},
						"sides": map[string]any{"type": "array", "maxItems": 3,
							"items": map[string]any{
								"type": "integer", "minimum": 3, "maximum": 5}}},
					"required": []string{"shape", "sides"}}}}
	a, err := ts.openaiClient().Chat.Completions.New(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Shape string
		Sides []int
	}
	if err := json.Unmarshal([]byte(a.Choices[0].Message.Content), &v); err != nil ||
		v.Shape != "circle" && v.Shape != "star" || len(v.Sides) > 3 {
		t.Errorf("%q %v", a.Choices[0].Message.Content, err)
	}
}

// openaiProblem is an error as OpenAI's client sees it.
func openaiProblem(t testing.TB, err error) *openai.Error {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no error of the API", err)
	}
	return e
}

func TestOpenAIErrors(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Spec.Context = 512 })
	c := ts.openaiClient()
	_, err := c.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "nobody",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("x")}})
	if e := openaiProblem(t, err); e.StatusCode != 404 || e.Code != "model_not_found" ||
		e.Type != "invalid_request_error" {
		t.Errorf("%d %s", e.StatusCode, e.RawJSON())
	}
	image := func(url string) string {
		return `{"model":"seed","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + url + `"}}]}]}`
	}
	with := func(more string) string {
		return `{"model":"seed","messages":[{"role":"user","content":"x"}],` + more + `}`
	}
	for name, x := range map[string]struct {
		body   string
		status int
		param  string
		says   string
	}{
		"no JSON":      {`{"model":`, 400, "", "not JSON"},
		"nothing":      {``, 400, "", "empty"},
		"a wrong type": {`{"model":"seed","messages":3}`, 400, "messages", "number"},
		"no messages": {`{"model":"seed","messages":[]}`, 400, "messages",
			"at least one"},
		"no model": {`{"messages":[{"role":"user","content":"x"}]}`, 400, "model",
			"no model"},
		"an unknown role": {`{"model":"seed","messages":[{"role":"pope","content":"x"}]}`,
			400, "messages[0].role", "pope"},
		"base64 cut off": {image("data:image/png;base64,iVBORw0KG"), 400,
			"messages[0].content[0].image_url", "base64"},
		"a picture cut off": {image("data:image/png;base64,iVBORw0KGgo"), 400, "",
			"picture 1 (message 1)"},
		"no base64": {image("data:image/png;base64,!!!!"), 400,
			"messages[0].content[0].image_url", "base64"},
		"no comma": {image("data:image/png"), 400,
			"messages[0].content[0].image_url", "comma"},
		"an empty picture": {image("data:image/png;base64,"), 400,
			"messages[0].content[0].image_url", "empty"},
		"a text as a picture": {image("data:image/png;base64,aGVsbG8gd29ybGQ="), 400, "",
			"picture 1"},
		"a picture from the net": {image("http://example.org/a.png"), 400,
			"messages[0].content[0].image_url", "data URL"},
		"a file": {image("file:///etc/passwd"), 400,
			"messages[0].content[0].image_url", "data URL"},
		"another scheme": {image("gopher://x"), 400, "messages[0].content[0].image_url",
			"data URL"},
		"sound":             {`{"model":"seed","messages":[{"role":"user","content":[{"type":"input_audio"}]}]}`, 400, "messages[0].content[0].input_audio.data", "WAV"},
		"a hot temperature": {with(`"temperature":9`), 400, "temperature", "0 to 2"},
		"n of none":         {with(`"n":0`), 400, "n", "1 to"},
		"no tokens":         {with(`"max_tokens":0`), 400, "max_tokens", "1 or more"},
		"too many tokens":   {with(`"max_tokens":1e12`), 400, "max_tokens", "at most"},
		"a search of the web": {with(`"web_search_options":{}`), 400, "web_search_options",
			"none"},
		"an empty stop":      {with(`"stop":""`), 400, "stop", "empty"},
		"top_logprobs alone": {with(`"top_logprobs":3`), 400, "top_logprobs", "logprobs"},
		"an impossible schema": {with(
			`"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":false}}`),
			400, "", "unsatisfiable"},
		"an unsupported schema": {with(`"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"$ref":"http://x.example/y"}}}`), 400, "", "nothing is fetched"},
		"a schema missing": {with(`"response_format":{"type":"json_schema"}`), 400,
			"response_format", "without a schema"},
		"an unknown format": {with(`"response_format":{"type":"yaml"}`), 400,
			"response_format", "yaml"},
		"a tool without a name": {with(`"tools":[{"type":"function","function":{}}]`), 400, "",
			"a name has"},
		"a choice of no tool": {with(
			`"tools":[],"tool_choice":{"type":"function","function":{"name":"x"}}`), 400, "",
			"no tool"},
		"a biased unknown token": {with(`"logit_bias":{"99999999":5}`), 400, "", "vocabulary"},
		"a bias beyond its bounds": {with(`"logit_bias":{"1":500}`), 400, "logit_bias",
			"-100 to 100"},
		"a long prompt": {`{"model":"seed","messages":[{"role":"user","content":"` +
			strings.Repeat("many words ", 400) + `"}]}`, 400, "", "512"},
		"deep": {with(`"x":` + strings.Repeat("[", 100) + strings.Repeat("]",
			100)), 400, "", "nested"},
	} {
		r := ts.do(t, "POST", "/v1/chat/completions", x.body)
		var e struct {
			Error struct{ Message, Type, Param, Code string }
		}
		if err := json.Unmarshal([]byte(r.text), &e); err != nil || r.status != x.status ||
			e.Error.Param != x.param || !strings.Contains(e.Error.Message, x.says) ||
			e.Error.Type != "invalid_request_error" {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
		if name == "a long prompt" && e.Error.Code != "context_length_exceeded" {
			t.Errorf("%s: %s", name, r.text)
		}
	}
	if r := ts.do(t, "POST", "/v1/chat/completions", asksJSON("What color is it?")); r.status !=
		200 {
		t.Errorf("afterwards: %d %s", r.status, r.text)
	}
	if r := ts.do(t, "GET", "/v1/nothing", ""); r.status != 404 || !strings.Contains(r.text,
		`"message"`) {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestOpenAIStreamsEndWithTheirClients(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := asks(t, "shape-4.png", "What is in this picture?")
	q.N = openai.Int(2)
	// its end is forbidden: it goes on until the client leaves
	q.LogitBias = map[string]int64{"2": -100}
	s := c.Chat.Completions.NewStreaming(t.Context(), q)
	leaveStream(t, ts, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Chat.Completions.New(ctx, q); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ts.idle(t)
}

func TestOpenAICompletions(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := openai.CompletionNewParams{Model: "seed", Temperature: openai.Float(0),
		MaxTokens: openai.Int(6), Logprobs: openai.Int(2),
		Prompt: openai.CompletionNewParamsPromptUnion{
			OfArrayOfStrings: []string{"USER: What color is it? ASSISTANT:",
				"USER: What is it? ASSISTANT:"}}}
	a, err := c.Completions.New(t.Context(), q)
	if err != nil || len(a.Choices) != 2 || a.Choices[0].Text == "" ||
		len(a.Choices[0].Logprobs.Tokens) == 0 || a.Usage.TotalTokens == 0 {
		t.Fatal(err, a)
	}
	q.Prompt = openai.CompletionNewParamsPromptUnion{OfString: openai.String(
		"USER: What color is it? ASSISTANT:")}
	text := ""
	s := c.Completions.NewStreaming(t.Context(), q)
	for s.Next() {
		if len(s.Current().Choices) > 0 {
			text += s.Current().Choices[0].Text
		}
	}
	if s.Err() != nil || text != a.Choices[0].Text {
		t.Errorf("%v: streamed %q, at once %q", s.Err(), text, a.Choices[0].Text)
	}
	for _, bad := range []string{`{"model":"seed","prompt":[]}`, `{"model":"seed","prompt":3}`,
		`{"model":"seed","prompt":["a",3]}`, `{"model":"seed","prompt":[1,null]}`,
		`{"model":"seed","prompt":[1.5]}`, `{"model":"seed","prompt":{"a":1}}`,
		`{"model":"seed","prompt":"a","suffix":"b"}`,
		`{"model":"seed","prompt":[99999999]}`} {
		if r := ts.do(t, "POST", "/v1/completions", bad); r.status != 400 {
			t.Errorf("%s: %d %s", bad, r.status, r.text)
		}
	}
	if r := ts.do(t, "POST", "/v1/completions",
		`{"model":"seed","prompt":[1,5,9],"max_tokens":2}`); r.status != 200 {
		t.Errorf("tokens: %d %s", r.status, r.text)
	}
}

func TestOpenAIEmbeddings(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := openai.EmbeddingNewParams{Model: "seed",
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a red circle",
			"a blue square"}}}
	a, err := c.Embeddings.New(t.Context(), q)
	if err != nil || len(a.Data) != 2 || a.Usage.PromptTokens == 0 {
		t.Fatal(err, a)
	}
	norm := 0.0
	for _, x := range a.Data[0].Embedding {
		norm += x * x
	}
	if math.Abs(norm-1) > 1e-3 {
		t.Errorf("length %v", norm)
	}
	q.Dimensions = openai.Int(16)
	if a, err := c.Embeddings.New(t.Context(), q); err != nil || len(a.Data[0].Embedding) != 16 {
		t.Error(err)
	}
	r := ts.do(t, "POST", "/v1/embeddings",
		`{"model":"seed","input":"a red circle","encoding_format":"base64"}`)
	var e struct{ Data []struct{ Embedding string } }
	if err := json.Unmarshal([]byte(r.text), &e); err != nil || len(e.Data) != 1 {
		t.Fatal(r.text)
	}
	if raw, err := base64.StdEncoding.DecodeString(e.Data[0].Embedding); err != nil ||
		len(raw) != 4*len(a.Data[0].Embedding) {
		t.Error(err, len(raw))
	}
	for _, bad := range []string{`{"model":"seed"}`, `{"model":"seed","input":[]}`,
		`{"model":"seed","input":""}`, `{"model":"seed","input":"a","encoding_format":"x"}`,
		`{"model":"seed","input":"a","dimensions":100000}`, `{"model":"seed","input":"` +
			strings.Repeat("many words ", 4000) + `"}`} {
		if r := ts.do(t, "POST", "/v1/embeddings", bad); r.status != 400 {
			t.Errorf("%.60s: %d %s", bad, r.status, r.text)
		}
	}
}

func TestOpenAIModels(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	list, err := c.Models.List(t.Context())
	if err != nil || len(list.Data) == 0 {
		t.Fatal(err)
	}
	found := false
	for _, m := range list.Data {
		found = found || m.ID == "seed"
	}
	if m, err := c.Models.Get(t.Context(), "seed"); err != nil || m.ID != "seed" || !found {
		t.Error(err, m)
	}
	_, err = c.Models.Get(t.Context(), "nobody")
	if e := openaiProblem(t, err); e.StatusCode != http.StatusNotFound {
		t.Error(e)
	}
}

func TestFunctionsAreToolsOfAnEarlierShape(t *testing.T) {
	ts := serve(t)
	c := ts.openaiClient()
	q := asks(t, "shape-4.png", "Paint it.")
	paint := paintTool.OfFunction.Function
	//lint:ignore SA1019 the shape of then is what is tested
	q.Functions = []openai.ChatCompletionNewParamsFunction{{Name: "paint",
		Description: openai.String("Paint."), Parameters: paint.Parameters}, {Name: "erase"}}
	q.FunctionCall = openai.ChatCompletionNewParamsFunctionCallUnion{
		OfFunctionCallOption: &openai.ChatCompletionFunctionCallOptionParam{Name: "paint"}}
	a, err := c.Chat.Completions.New(t.Context(), q)
	if err != nil || a.Choices[0].FinishReason != "function_call" ||
		len(a.Choices[0].Message.ToolCalls) != 0 {
		t.Fatal(err, a)
	}
	//lint:ignore SA1019 the shape of then is what is tested
	call := a.Choices[0].Message.FunctionCall
	checkPaint(t, call.Name, call.Arguments)
	s := c.Chat.Completions.NewStreaming(t.Context(), q)
	name, arguments, finish := "", "", ""
	for s.Next() {
		for _, choice := range s.Current().Choices {
			//lint:ignore SA1019 the shape of then is what is tested
			name += choice.Delta.FunctionCall.Name
			//lint:ignore SA1019 the shape of then is what is tested
			arguments += choice.Delta.FunctionCall.Arguments
			finish += choice.FinishReason
		}
	}
	if s.Err() != nil || finish != "function_call" {
		t.Errorf("%v %q", s.Err(), finish)
	}
	checkPaint(t, name, arguments)
	// What the function returned goes back in the shape of then, a second call too.
	q.Messages = append(q.Messages, a.Choices[0].Message.ToParam(),
		openai.ChatCompletionMessageParamOfFunction("red paint", "paint"))
	q.FunctionCall = openai.ChatCompletionNewParamsFunctionCallUnion{
		OfFunctionCallMode: openai.String("none")}
	b, err := c.Chat.Completions.New(t.Context(), q)
	if err != nil || b.Choices[0].FinishReason == "function_call" ||
		b.Usage.PromptTokens < a.Usage.PromptTokens-200 {
		t.Fatal(err, b)
	}
	base := `{"model":"seed","max_tokens":8,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"function_call":{"name":"paint","arguments":"{\"color\":\"red\"}"}},{"role":"function","name":"paint","content":"wet"}]`
	if r := ts.do(t, "POST", "/v1/chat/completions", base+`}`); r.status != 200 {
		t.Errorf("%d %s", r.status, r.text)
	}
	for more, names := range map[string]string{
		`,"function_call":{"name":"paint"}`: "function_call",

		`,"functions":[{"name":"paint"}],"function_call":"must"`:                                "function_call",
		`,"functions":[{"name":"paint"}],"function_call":{"name":"erase"}`:                      "erase",
		`,"functions":[{"name":"paint"}],"tools":[{"type":"function","function":{"name":"a"}}]`: "functions",
		`,"functions":[{"name":"paint"}],"tool_choice":"auto"`:                                  "tool_choice",
		`,"functions":[{"name":"paint","parameters":{"type":"array"}}]`:                         "paint",
	} {
		if r := ts.do(t, "POST", "/v1/chat/completions", base+more+`}`); r.status != 400 ||
			!strings.Contains(r.text, names) {
			t.Errorf("%s: %d %s", more, r.status, r.text)
		}
	}
}

// leaveStream reads the beginning of a stream, and leaves it.
func leaveStream(t *testing.T, ts *testServer, s interface {
	Next() bool
	Err() error
	Close() error
}) {
	t.Helper()
	for range 3 {
		if !s.Next() {
			t.Fatal(s.Err())
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ts.idle(t)
}
