package server

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
	"github.com/eyelet-engine/eyelet/models/store"
)

// greedy are options that make answers repeat.
var greedy = map[string]any{"temperature": 0, "repeat_penalty": 1}

// chat asks and returns the whole answer, and the last document of it.
func chat(t testing.TB, c *api.Client, q *api.ChatRequest) (string, api.ChatResponse, error) {
	t.Helper()
	if q.Options == nil {
		q.Options = greedy
	}
	var text strings.Builder
	var last api.ChatResponse
	err := c.Chat(t.Context(), q, func(r api.ChatResponse) error {
		text.WriteString(r.Message.Content)
		last = r
		return nil
	})
	return text.String(), last, err
}

func look(data []byte, question string) api.Message {
	return api.Message{Role: "user", Content: question, Images: []api.ImageData{data}}
}

func TestChatAboutAPicture(t *testing.T) {
	ts := serve(t)
	no := false
	for name, stream := range map[string]*bool{"streamed": nil, "whole": &no} {
		t.Run(name, func(t *testing.T) {
			first := look(picture(t, "shape-4.png"), "What is in this picture?")
			text, last, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed", Stream: stream,
				Messages: []api.Message{first}})
			if err != nil || text != "an orange circle on a cyan background" {
				t.Fatalf("%q %v", text, err)
			}
			if !last.Done || last.DoneReason != "stop" || last.Model != "seed" ||
				last.Message.Role != "assistant" || time.Since(last.CreatedAt) > time.Minute {
				t.Errorf("%+v", last)
			}
			m := last.Metrics
			if m.PromptEvalCount < 70 || m.EvalCount < 5 || m.TotalDuration <= 0 ||
				m.PromptEvalDuration <= 0 || m.EvalDuration <= 0 ||
				m.PromptEvalDuration+m.EvalDuration > m.TotalDuration {
				t.Errorf("%+v", m)
			}
			messages := []api.Message{first, {Role: "assistant", Content: text},
				{Role: "user", Content: "What color is the background?"}}
			if text, _, err = chat(t, ts.client(t), &api.ChatRequest{Model: "seed:latest",
				Stream: stream, Messages: messages}); err != nil || text != "cyan" {
				t.Errorf("a second question: %q %v", text, err)
			}
		})
	}
}

func TestPicturesStandWhereTheyAreMarked(t *testing.T) {
	a, b := api.ImageData("a"), api.ImageData("b")
	describe := func(content []engine.Content) (s string) {
		for _, c := range content {
			if c.Image != nil {
				s += "<" + string(c.Image.Data) + " " + c.Image.Name + ">"
			} else {
				s += c.Text
			}
		}
		return s
	}
	for _, c := range []struct {
		text   string
		images []api.ImageData
		want   string
	}{
		{"x", nil, "x"},
		{"", nil, ""},
		{"x", []api.ImageData{a, b}, "<a picture 1><b picture 2>x"},
		{"x [img] y", []api.ImageData{a}, "x <a picture 1> y"},
		{"x [img] y [img]", []api.ImageData{a}, "x <a picture 1> y [img]"},
		{"x [img] y", []api.ImageData{a, b}, "<a picture 1>x <b picture 2> y"},
		{"", []api.ImageData{a}, "<a picture 1>"},
	} {
		if got := describe(ollamaContent(c.text, c.images, 0)); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestStructuredOutput(t *testing.T) {
	ts := serve(t)
	schema := json.RawMessage(`{"type":"object","properties":{"color":{"enum":["cyan","red"]},"n":{"type":"integer","minimum":1,"maximum":3}},"required":["color","n"],"additionalProperties":false}`)
	q := &api.ChatRequest{Model: "seed", Format: schema,
		Messages: []api.Message{look(picture(t, "shape-4.png"), "What color is the background?")}}
	text, _, err := chat(t, ts.client(t), q)
	var v struct {
		Color string
		N     int
	}
	if err != nil || json.Unmarshal([]byte(text), &v) != nil ||
		v.Color != "cyan" && v.Color != "red" || v.N < 1 || v.N > 3 {
		t.Errorf("%q %v", text, err)
	}
	q.Format, q.Options = json.RawMessage(`"json"`), map[string]any{"temperature": 0,
		"num_predict": 400}
	var object map[string]any
	if text, last, err := chat(t, ts.client(t), q); err != nil || last.DoneReason == "stop" &&
		json.Unmarshal([]byte(text), &object) != nil || !strings.HasPrefix(text, "{") {
		t.Errorf("%q %v", text, err)
	}
}

func TestOptionsOfAChat(t *testing.T) {
	ts := serve(t)
	message := []api.Message{look(picture(t, "shape-4.png"), "What is in this picture?")}
	ask := func(options map[string]any) (string, api.ChatResponse) {
		text, last, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed", Messages: message,
			Options: options})
		if err != nil {
			t.Fatal(err)
		}
		return text, last
	}
	if text, last := ask(map[string]any{"temperature": 0, "num_predict": 3}); last.EvalCount != 3 ||
		last.DoneReason != "length" {
		t.Errorf("num_predict: %q %+v", text, last)
	}
	if text, _ := ask(map[string]any{"temperature": 0, "repeat_penalty": 1,
		"stop": []string{" circle"}}); text != "an orange" {
		t.Errorf("stop: %q", text)
	}
	a, _ := ask(map[string]any{"temperature": 3, "seed": 42, "num_predict": 20})
	if b, _ := ask(map[string]any{"temperature": 3, "seed": 42, "num_predict": 20}); a != b {
		t.Errorf("seed: %q, then %q", a, b)
	}
}

func TestLogprobs(t *testing.T) {
	ts := serve(t)
	n := 0
	err := ts.client(t).Chat(t.Context(), &api.ChatRequest{Model: "seed", Options: greedy,
		Logprobs: true, TopLogprobs: 3,
		Messages: []api.Message{look(picture(t, "shape-4.png"), "What color is the background?")}},
		func(r api.ChatResponse) error {
			for _, l := range r.Logprobs {
				n++
				if l.Logprob > 0 || len(l.TopLogprobs) != 3 ||
					l.TopLogprobs[0].Logprob < l.TopLogprobs[1].Logprob ||
					len(l.Bytes) != len(l.Token) {
					t.Errorf("%+v", l)
				}
			}
			return nil
		})
	if err != nil || n == 0 {
		t.Errorf("%d %v", n, err)
	}
}

func TestConversationsLongerThanTheContextLoseTheirOldestTurns(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Spec.Context = 256 })
	var messages []api.Message
	for i := range 40 {
		messages = append(messages, api.Message{Role: "user",
			Content: fmt.Sprint("What color is number ", i)}, api.Message{Role: "assistant",
			Content: "blue"})
	}
	messages = append(messages, look(picture(t, "shape-4.png"), "What color is the background?"))
	yes, no := true, false
	if text, last, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed",
		Messages: messages}); err != nil || text == "" || last.PromptEvalCount < 180 ||
		last.PromptEvalCount > 255 {
		t.Errorf("%q %+v %v", text, last, err)
	}
	var status api.StatusError
	if _, _, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed", Messages: messages,
		Truncate: &no}); !errors.As(err, &status) || status.StatusCode != 400 ||
		!strings.Contains(err.Error(), "context") {
		t.Errorf("truncate false: %v", err)
	}
	long := []api.Message{{Role: "user", Content: strings.Repeat("word ", 2000)}}
	if _, last, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed", Messages: long,
		Truncate: &yes, Options: map[string]any{"num_predict": 4}}); err != nil ||
		last.PromptEvalCount < 200 || last.PromptEvalCount > 255 {
		t.Errorf("one message that is too long: %+v %v", last, err)
	}
}

func TestAModelsOwnWordsComeFirst(t *testing.T) {
	temperature, limit := float32(0), 2
	m := &model{stored: &store.Resolved{System: "Be brief.",
		Messages: []byte(`[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`),
		Params: store.Params{Temperature: &temperature, MaxTokens: &limit,
			Stop: []string{"x", ""}}}}
	text := func(messages []engine.Message) (s string) {
		for _, msg := range messages {
			s += msg.Role + ":" + msg.Content[0].Text + " "
		}
		return s
	}
	if got := text(ollamaMessages(m, []api.Message{{Role: "user", Content: "c"}})); got !=
		"system:Be brief. user:a assistant:b user:c " {
		t.Error(got)
	}
	if got := text(ollamaMessages(m, []api.Message{{Role: "system", Content: "Be long."},
		{Role: "user", Content: "c"}})); got != "user:a assistant:b system:Be long. user:c " {
		t.Error(got)
	}
	o, err := ollamaChoices(m, map[string]any{"num_predict": 7.0, "num_thread": "1"}, 0)
	if err != nil || o.Sampling.Temperature != 0 || o.Predict != 7 || o.Threads != 1 ||
		o.Sampling.TopK != 40 || len(o.Stop) != 1 {
		t.Errorf("%+v %v", o, err)
	}
}

func TestToolsAreCalled(t *testing.T) {
	ts := serve(t)
	var tools api.Tools
	if err := json.Unmarshal(
		[]byte(`[{"type":"function","function":{"name":"paint","description":"Paint it.","parameters":{"type":"object","required":["color"],"properties":{"color":{"type":"string","enum":["red","cyan"]}}}}}]`), &tools); err != nil {
		t.Fatal(err)
	}
	no := false
	for name, stream := range map[string]*bool{"streamed": nil, "whole": &no} {
		t.Run(name, func(t *testing.T) {
			// A toy calls no tool by itself, so its answer is made of what a model that does would
			// write.
			deltas := []engine.Event{
				{Reasoning: "hm"}, {Text: " I paint."},
				{Calls: []engine.CallDelta{{ID: "c1", Name: "paint"}}},
				{Calls: []engine.CallDelta{{Arguments: `{"color":`}}},
				{Calls: []engine.CallDelta{{Arguments: `"red"}`, Done: true}}},
				{Done: &engine.Result{Finish: engine.FinishTools}},
			}
			w := httptest.NewRecorder()
			err := ts.respond(t.Context(), w, ts.streamIf(stream == nil, w, asLines),
				answer.NewSet(1), ollama.NewChat(&ollama.ChatRequest{}, time.Now(), 0),
				only(func(yield func(engine.Event, error) bool) {
					for _, e := range deltas {
						if !yield(e, nil) {
							return
						}
					}
				}))
			var text, thoughts, reason string
			var calls []api.ToolCall
			for d := json.NewDecoder(w.Body); err == nil && d.More(); {
				var e api.ChatResponse
				err = d.Decode(&e)
				text, thoughts, calls, reason = text+e.Message.Content,
					thoughts+e.Message.Thinking, append(calls, e.Message.ToolCalls...), e.DoneReason
			}
			if err != nil || text != "I paint." || thoughts != "hm" || reason != "stop" ||
				len(calls) != 1 || calls[0].ID != "c1" || calls[0].Function.Name != "paint" ||
				calls[0].Function.Arguments.String() != `{"color":"red"}` {
				t.Errorf("%q %q %q %+v %v", text, thoughts, reason, calls, err)
			}
		})
	}
	var args api.ToolCallFunctionArguments
	args.Set("color", "red")
	messages := []api.Message{
		{Role: "user", Content: "Paint."},
		{Role: "assistant", ToolCalls: []api.ToolCall{{ID: "c1",
			Function: api.ToolCallFunction{Name: "paint", Arguments: args}}}},
		{Role: "tool", ToolName: "paint", ToolCallID: "c1", Content: "done"},
	}
	if _, last, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed", Tools: tools,
		Messages: messages, Options: map[string]any{"num_predict": 8}}); err != nil || !last.Done {
		t.Errorf("a conversation with calls: %+v %v", last, err)
	}
}

func TestBadChats(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Limits.Images, o.Limits.ImageBytes = 2, 1<<20 })
	whole := base64.StdEncoding.EncodeToString(picture(t, "shape-4.png"))
	with := func(fields string) string {
		return `{"model":"seed","options":{"num_predict":4},"messages":[{"role":"user","content":"What?"}],` + fields + `}`
	}
	images := func(list ...string) string {
		data, _ := json.Marshal(list)
		return `{"model":"seed","options":{"num_predict":4},"messages":[{"role":"user","content":"What?","images":` + string(data) + `}]}`
	}
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"no model", `{"messages":[{"role":"user","content":"What?"}]}`, 400, "names no model"},
		{"an unknown model", `{"model":"nothing","messages":[{"role":"user","content":"What?"}]}`,
			404, "model 'nothing' not found"},
		{"a path as the model", `{"model":"../../etc/passwd","messages":[]}`, 400, "name"},
		{"a number as the model", `{"model":1}`, 400, "model is a JSON number"},
		{"no role", `{"model":"seed","messages":[{"content":"What?"}]}`, 400, "role"},
		{"messages that are a text", `{"model":"seed","messages":"What?"}`, 400, "messages"},
		{"a picture that is no base64", images("%%%"), 400, "base64"},
		{"a picture that is none", images(base64.StdEncoding.EncodeToString([]byte("no picture"))),
			400, "picture 1"},
		{"half a picture", images(whole[:400]), 400, "picture 1"},
		{"an empty picture", images(""), 400, "empty"},
		{"too many pictures", images(whole, whole, whole), 400, "more than 2"},
		{"a large picture", images(strings.Repeat("AAAA", 1<<19)), 413, "1 MiB"},
		{"an option of another type", with(`"options":{"temperature":"hot"}`), 400, "temperature"},
		{"an option out of range", with(`"options":{"top_p":7}`), 400, "top_p"},
		{"more tokens than any context has, in plain digits",
			with(`"options":{"num_ctx":33554432}`), 400, "num_ctx is 33554432; give 0 to 16777216"},
		{"half a token", with(`"options":{"num_predict":0.5}`), 400, "whole number"},
		{"a context of more than there is", with(`"options":{"num_ctx":10000000}`), 400,
			"context of 10000000"},
		{"an empty stop text", with(`"options":{"stop":[""]}`), 400, "stop"},
		{"a format that is none", with(`"format":"xml"`), 400, "format"},
		{"a schema that nothing satisfies",
			with(`"format":{"type":"object","properties":{"a":{"enum":[]}},"required":["a"]}`), 400,
			"schema"},
		{"a schema that is none", with(`"format":{"type":7}`), 400, "schema"},
		{"too many logprobs", with(`"logprobs":true,"top_logprobs":21`), 400, "top_logprobs"},
		{"a tool without a name",
			with(`"tools":[{"type":"function","function":{"description":"a"}}]`), 400, "tool 1"},
		{"a tool of another type", with(`"tools":[{"type":"web"}]`), 400, "web"},
		{"a tool of an impossible schema",
			with(`"tools":[{"type":"function","function":{"name":"a","parameters":{"type":"array"}}}]`), 400, "tool"},
		{"thinking", with(`"think":true`), 400, "does not support thinking"},
		{"a level of thinking that is none", with(`"think":"hard"`), 400, "think"},
		{"keep_alive that is none", with(`"keep_alive":"forever"`), 400, "forever"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ts.do(t, "POST", "/api/chat", c.body)
			if r.status != c.status || !strings.Contains(r.ollamaError(t), c.says) {
				t.Errorf("%d %s, want %d and %q", r.status, r.text, c.status, c.says)
			}
		})
	}
	if text, _, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed",
		Messages: []api.Message{look(picture(t, "shape-4.png"),
			"What color is the background?")}}); err != nil || text != "cyan" {
		t.Errorf("afterwards: %q %v", text, err)
	}
}

func TestLoadingAndUnloadingWithoutAQuestion(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	if _, last, err := chat(t, c, &api.ChatRequest{Model: "seed",
		KeepAlive: &api.Duration{Duration: -1}}); err != nil || !last.Done ||
		last.DoneReason != "load" {
		t.Errorf("%+v %v", last, err)
	}
	if l := ts.models.loaded(); len(l) != 1 || !l[0].Expires.IsZero() {
		t.Errorf("%+v", l)
	}
	if _, last, err := chat(t, c, &api.ChatRequest{Model: "seed",
		KeepAlive: &api.Duration{}}); err != nil || last.DoneReason != "unload" {
		t.Errorf("%+v %v", last, err)
	}
	eventually(t, "the model is unloaded", func() bool { return len(ts.models.loaded()) == 0 })
}

func TestAClientThatGoesEndsItsAnswer(t *testing.T) {
	ts := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q := &api.ChatRequest{Model: "seed", Options: map[string]any{"temperature": 2.0,
		"num_predict": 1000000, "num_ctx": 8192},
		Messages: []api.Message{{Role: "user", Content: "Describe all colors."}},
		Format:   json.RawMessage(endlessFormat)}
	n := 0
	err := ts.client(t).Chat(ctx, q, func(api.ChatResponse) error {
		if n++; n == 3 {
			cancel()
		}
		return nil
	})
	// the client does not tell of the end of a stream
	if n < 3 || err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("%v after %d", err, n)
	}
	l := borrowSeed(t, ts, 8192)
	eventually(t, "the answer is cancelled", func() bool {
		s := l.Model.Stats()
		return s.Cancelled == 1 && s.Cells.Running == 0 && s.Reading+s.Writing+s.Waiting == 0
	})
}

func TestTheEndOfTheServerIsTheLastLineOfAnAnswer(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Limits.Grace = 50 * time.Millisecond })
	body := `{"model":"seed","options":{"temperature":1},"messages":[{"role":"user","content":` +
		`"Count."}],"format":` + endlessFormat + `}`
	w, err := ts.http.Post(ts.url+"/api/chat", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	lines, last := bufio.NewScanner(w.Body), ""
	for lines.Scan() {
		last = lines.Text()
		ts.end()
	}
	if !strings.Contains(last, failure.ErrShutdown.Error()) {
		t.Errorf("%q %v", last, lines.Err())
	}
}

// fuzzedServer is a server without a model.
func fuzzedServer(f *testing.F) *Server {
	pictures, err := newPictureSource(nil, 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	return &Server{pictures: pictures, limits: Limits{}.withDefaults(0)}
}

// FuzzChatRequest sends what a client can send through all that is done before a model is borrowed.
func FuzzChatRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"[img]a","images":["AA==","AA=="]}],"format":"json","options":{"stop":["a"],"seed":1,"top_k":1e9},"think":"high","keep_alive":-1}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"","tool_calls":[{"function":{"arguments":{"a":1}}}]}],"tools":[{"function":{"parameters":{"properties":{}}}}]}`))
	s := fuzzedServer(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var q ollama.ChatRequest
		if decodeJSON(data, &q) != nil {
			return
		}
		o, err := s.checkChat(&q, &model{})
		if err != nil {
			if fail, ok := errors.AsType[*failure.Failure](err); !ok || fail.Status < 400 ||
				fail.Status >= http.StatusInternalServerError {
				t.Fatalf("%v", err)
			}
			return
		}
		r, err := q.Request()
		if err != nil || len(q.Messages) == 0 {
			return
		}
		r.ContextShift = true
		o.Apply(&r, 4096)
		if r.MaxTokens < 0 || r.Sampling.TopK < 0 || r.Sampling.PenaltyLastN < 0 {
			t.Fatalf("%+v", r)
		}
		messages, err := s.conversation(&q)
		if err == nil {
			ollamaMessages(&model{}, messages)
		}
	})
}
