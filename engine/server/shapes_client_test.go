// Compiled for the race detector, the client's module alone would take longer than all tests.

//go:build !race

package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/ollama/ollama/api"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// generated is what the clients that OpenAI and Anthropic generate from their schemas know of a
// field of an answer.
type generated interface {
	Raw() string // "" where the answer lacks it
	Valid() bool
}

// shape holds an answer against the schema that a generated client was made of, field by field:
// what the schema requires must be there, and what it does not know must be among extra.
type shape struct {
	extra  []string // fields that clients have learnt from others
	faults []string
}

func (s *shape) fault(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.faults, text) {
		s.faults = append(s.faults, text)
	}
}

// leftOut are fields that schemas call required, and that the vendors' own answers lack where there
// is nothing to say.
var leftOut = []string{
	"container", "diagnostics", "stop_details", "citations", "cache_creation", "inference_geo",
	"service_tier", "speed", "output_tokens_details", "server_tool_use", "access_programs",
}

func (s *shape) check(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			s.check(path, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			s.check(path+"[]", v.Index(i))
		}
	case reflect.Struct:
		// one of several
		if any := v.MethodByName("AsAny"); any.IsValid() && any.Type().NumIn() == 0 {
			s.check(path, any.Call(nil)[0])
			return
		}
		s.object(path, v)
	}
}

// object checks a struct of a generated client, which tells of the JSON that it was read from in a
// field called JSON.
func (s *shape) object(path string, v reflect.Value) {
	facts := v.FieldByName("JSON")
	if !facts.IsValid() || facts.Kind() != reflect.Struct {
		return
	}
	if extra := facts.FieldByName("ExtraFields"); extra.IsValid() {
		for _, key := range extra.MapKeys() {
			if !slices.Contains(s.extra, key.String()) {
				s.fault("%s.%s is not in the schema", path, key)
			}
		}
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fact := facts.FieldByName(f.Name)
		if name == "" || name == "-" || !fact.IsValid() {
			continue
		}
		known, ok := fact.Interface().(generated)
		if !ok {
			continue
		}
		_, constant := f.Tag.Lookup("default")
		switch raw := known.Raw(); {
		case raw == "" && slices.Contains(leftOut, name):
		case raw == "null" && slices.Contains(leftOut, name):
			s.fault("%s.%s is null, which clients that check answers refuse; leave it out", path,
				name)
		case raw == "" && (constant || strings.Contains(f.Tag.Get("api")+f.Tag.Get("json"),
			"required")):
			s.fault("%s.%s is missing", path, name)
		case raw != "" && raw != "null" && !known.Valid():
			s.fault("%s.%s cannot be %s", path, name, raw)
		case constant && raw != `"`+f.Tag.Get("default")+`"`:
			s.fault("%s.%s is %s, want %q", path, name, raw, f.Tag.Get("default"))
		case raw != "" && raw != "null":
			s.check(path+"."+name, v.Field(i))
		}
	}
}

// read reads an answer, or the events of one, into values of T and checks them.
func readShapes[T any](t *testing.T, ts *testServer, method, path, body string, extra ...string) {
	t.Helper()
	var headers []string
	if strings.HasPrefix(path, "/v1/messages") {
		headers = []string{"anthropic-version", "2023-06-01"}
	}
	r := ts.do(t, method, path, body, headers...)
	if r.status != http.StatusOK {
		t.Errorf("%s: %d %s", path, r.status, r.text)
		return
	}
	documents := []string{r.text}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		documents = nil
		for line := range strings.Lines(r.text) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && !strings.HasPrefix(data,
				"[DONE]") {
				documents = append(documents, data)
			}
		}
		if len(documents) < 3 {
			t.Errorf("%s: a stream of %d events", path, len(documents))
		}
	}
	s := shape{extra: extra}
	for _, d := range documents {
		var v T
		if err := json.Unmarshal([]byte(d), &v); err != nil {
			t.Errorf("%s: %v in %s", path, err, d)
			continue
		}
		s.check(reflect.TypeFor[T]().Name(), reflect.ValueOf(v))
	}
	for _, f := range s.faults {
		t.Errorf("%s: %s\n%.400s", path, f, documents[0])
	}
}

// What is answered has the fields of OpenAI's schema, from which its client was generated.
func TestShapesOfOpenAI(t *testing.T) {
	ts := serve(t)
	about := func(more string) string {
		return `{"model":"seed","temperature":0,"max_tokens":60,"messages":[{"role":"user","content":"What color is it?"}]` + more + `}`
	}
	tool := `,"parallel_tool_calls":false,"tool_choice":"required","tools":[{"type":"function","function":{"name":"paint","parameters":` + paintSchema + `}}]`
	stream := `,"stream":true,"stream_options":{"include_usage":true}`
	logprobs := `,"logprobs":true,"top_logprobs":2`
	const reasoning = "reasoning_content" // DeepSeek's, which other servers have taken up
	for _, more := range []string{"", logprobs, tool} {
		readShapes[openai.ChatCompletion](t, ts, "POST", "/v1/chat/completions", about(more),
			reasoning)
		readShapes[openai.ChatCompletionChunk](t, ts, "POST", "/v1/chat/completions",
			about(more+stream), reasoning)
	}
	text := `{"model":"seed","temperature":0,"max_tokens":8,"prompt":"USER: Describe the image. ASSISTANT:","logprobs":2`
	readShapes[openai.Completion](t, ts, "POST", "/v1/completions", text+`}`)
	readShapes[openai.Completion](t, ts, "POST", "/v1/completions", text+`,"stream":true}`)
	readShapes[openai.CreateEmbeddingResponse](t, ts, "POST", "/v1/embeddings",
		`{"model":"seed","input":"a"}`)
	readShapes[openai.Model](t, ts, "GET", "/v1/models/seed", "")
	asked := `{"model":"seed","temperature":0,"max_output_tokens":60,"top_logprobs":1,"include":["message.output_text.logprobs"],"input":"What color is it?"`
	call := `,"tool_choice":"required","parallel_tool_calls":false,"tools":[{"type":"function","name":"paint","strict":true,"parameters":` + paintSchema + `}]`
	for _, more := range []string{"", call} {
		// store is in OpenAI's answers, and not in the schema of its client.
		readShapes[responses.Response](t, ts, "POST", "/v1/responses", asked+more+`}`, "store",
			"image_tokens")
		readShapes[responses.ResponseStreamEventUnion](t, ts, "POST", "/v1/responses",
			asked+more+`,"stream":true}`, "store", "image_tokens")
	}
}

// What is answered has the fields of Anthropic's schema, from which its client was generated.
func TestShapesOfAnthropic(t *testing.T) {
	ts := serve(t)
	asked := `{"model":"seed","temperature":0,"max_tokens":60,"messages":[{"role":"user","content":"What color is it?"}]`
	call := `,"tool_choice":{"type":"tool","name":"paint","disable_parallel_tool_use":true},"tools":[{"name":"paint","input_schema":` + paintSchema + `}]`
	for _, more := range []string{"", call} {
		readShapes[anthropic.Message](t, ts, "POST", "/v1/messages", asked+more+`}`)
		readShapes[anthropic.MessageStreamEventUnion](t, ts, "POST", "/v1/messages",
			asked+more+`,"stream":true}`)
	}
	for _, path := range []string{"/v1/models", "/v1/models/seed"} {
		if r := ts.do(t, "GET", path, "", "anthropic-version", "2023-06-01"); r.status != 200 ||
			!strings.Contains(r.text, `"display_name"`) || strings.Contains(r.text, "null") {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	if r := ts.do(t, "GET", "/v1/models/nobody", "", "anthropic-version", "2023-06-01"); r.status !=
		404 || !strings.Contains(r.text, "not_found_error") {
		t.Errorf("%d %s", r.status, r.text)
	}
	readShapes[anthropic.MessageTokensCount](t, ts, "POST", "/v1/messages/count_tokens",
		`{"model":"seed","messages":[{"role":"user","content":"a"}]}`)
}

// keys are the fields of a JSON object and those of the objects in it, as "details.format".
func keys(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			into[prefix+k] = true
			if k != "model_info" && k != "arguments" && k != "parameters" {
				keys(prefix+k+".", x, into)
			}
		}
	case []any:
		for _, x := range v {
			keys(prefix, x, into)
		}
	}
}

// What is answered has the fields of the examples in Ollama's documentation of its API, and none
// that the types of its client lack, but for what the types of this package add to them.
func TestShapesOfOllama(t *testing.T) {
	ts := serve(t)
	ask := `{"model":"seed","stream":false,"options":{"temperature":0,"num_predict":8},`
	final := "model created_at done done_reason total_duration load_duration prompt_eval_count prompt_eval_duration eval_count eval_duration"
	details := " details.format details.family details.families details.parameter_size details.quantization_level"
	for _, c := range []struct {
		method, path, body string
		into               any
		fields             string // of the documented example
	}{
		{"POST", "/api/generate", ask + `"prompt":"Describe the image."}`, &api.GenerateResponse{},
			final + " response context"},
		{"POST", "/api/chat", ask + `"messages":[{"role":"user","content":"Describe the image."}]}`,
			&api.ChatResponse{}, final + " message message.role message.content"},
		{"POST", "/api/chat", `{"model":"seed"}`, &api.ChatResponse{},
			"model created_at message message.role message.content done_reason done"},
		{"POST", "/api/generate", `{"model":"seed"}`, &api.GenerateResponse{},
			"model created_at response done"},
		{"POST", "/api/embed", `{"model":"seed","input":"Why?"}`, &api.EmbedResponse{},
			"model embeddings total_duration load_duration prompt_eval_count"},
		{"POST", "/api/embeddings", `{"model":"seed","prompt":"Why?"}`, &api.EmbeddingResponse{},
			"embedding"},
		{"POST", "/api/show", `{"model":"seed"}`, &showResponse{},
			"modelfile template details model_info capabilities details.parent_model" + details},
		{"GET", "/api/tags", "",
			&tagsResponse{}, "models models.capabilities models.name models.model models.modified_at models.size models.digest models.details" + strings.ReplaceAll(details, " ", " models.")},
		{"GET", "/api/ps", "",
			&api.ProcessResponse{}, "models models.name models.model models.size models.digest models.details models.expires_at models.size_vram" + strings.ReplaceAll(details, " ", " models.")},
		{"GET", "/api/version", "", &struct {
			Version, Eyelet string
		}{}, "version"},
	} {
		r := ts.do(t, c.method, c.path, c.body)
		d := json.NewDecoder(bytes.NewReader([]byte(r.text)))
		d.DisallowUnknownFields()
		var any any
		if err := d.Decode(c.into); err != nil || json.Unmarshal([]byte(r.text), &any) != nil {
			t.Errorf("%s: %v\n%s", c.path, err, r.text)
			continue
		}
		got := map[string]bool{}
		keys("", any, got)
		for _, field := range strings.Fields(c.fields) {
			if !got[field] {
				t.Errorf("%s %s: %s is missing in %.500s", c.path, c.body, field, r.text)
			}
		}
	}
}
