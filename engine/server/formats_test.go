package server

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// sizeSchema is one that the toy would never keep to by itself.
const sizeSchema = `{"type":"object","properties":{"size":{"type":"integer","minimum":1,"maximum":99}},"required":["size"],"additionalProperties":false}`

// formatRoutes are the routes that answer, with what a body needs beside a format.
var formatRoutes = map[string]string{
	"/v1/chat/completions": `"model":"seed","temperature":0,"max_tokens":40,"messages":[{"role":"user","content":"How big is it?"}]`,
	"/v1/completions":      `"model":"seed","temperature":0,"max_tokens":40,"prompt":"USER: How big is it? ASSISTANT:"`,
	"/v1/responses":        `"model":"seed","temperature":0,"max_output_tokens":40,"input":"How big is it?"`,
	"/v1/messages":         `"model":"seed","temperature":0,"max_tokens":40,"messages":[{"role":"user","content":"How big is it?"}]`,
	"/api/chat":            `"model":"seed","stream":false,"options":{"temperature":0,"num_predict":40},"messages":[{"role":"user","content":"How big is it?"}]`,
	"/api/generate":        `"model":"seed","stream":false,"options":{"temperature":0,"num_predict":40},"prompt":"How big is it?"`,
}

// answerText is the text of an answer of any API.
func answerText(t *testing.T, r httpReply) string {
	t.Helper()
	var a struct {
		Response string
		Message  struct{ Content string }
		Content  []struct{ Text string }
		Choices  []struct {
			Text    string
			Message struct{ Content string }
		}
		Output []struct{ Content []struct{ Text string } }
	}
	if err := json.Unmarshal([]byte(r.text), &a); err != nil {
		t.Fatalf("%v in %s", err, r.text)
	}
	text := a.Response + a.Message.Content
	for _, c := range a.Content {
		text += c.Text
	}
	for _, c := range a.Choices {
		text += c.Text + c.Message.Content
	}
	for _, o := range a.Output {
		for _, c := range o.Content {
			text += c.Text
		}
	}
	return text
}

func TestEveryWordForASchemaIsEnforcedOnEveryRoute(t *testing.T) {
	if testing.Short() {
		t.Skip("grammars are long under the race detector, and other tests use them there")
	}
	ts := serve(t)
	quoted, _ := json.Marshal(sizeSchema)
	for _, demand := range []string{
		`"response_format":{"type":"json_schema","json_schema":{"name":"size","strict":true,"schema":` + sizeSchema + `}}`,
		`"response_format":{"type":"json_schema","schema":` + sizeSchema + `}`,
		`"response_format":{"type":"json_object","schema":` + sizeSchema + `}`,
		`"response_format":{"type":"json_object","value":` + sizeSchema + `}`,
		`"response_format":{"json_schema":{"schema":` + sizeSchema + `}}`,
		`"response_format":{"schema":` + sizeSchema + `}`,
		`"format":` + sizeSchema,
		`"format":{"type":"json_schema","json_schema":{"schema":` + sizeSchema + `}}`,
		`"text":{"format":{"type":"json_schema","name":"size","schema":` + sizeSchema +
			`},"verbosity":"low"}`,
		`"text":{"format":{"type":"json_object","schema":` + sizeSchema + `}}`,
		`"output_format":{"type":"json_schema","schema":` + sizeSchema + `}`,
		`"output_config":{"effort":"low","format":{"type":"json_schema","schema":` + sizeSchema +
			`}}`,
		`"json_schema":` + sizeSchema,
		`"guided_json":` + sizeSchema,
		`"guided_json":` + string(quoted),
		`"structured_outputs":{"json":` + sizeSchema + `}`,
		`"grammar":"root ::= \"{\\\"size\\\": \" [1-9] \"}\""`,
		`"guided_grammar":"root ::= \"{\\\"size\\\": \" [1-9] \"}\""`,
		`"guided_choice":["{\"size\": 3}"]`,
		`"structured_outputs":{"choice":["{\"size\": 3}"]}`,
		`"response_format":{"type":"grammar","grammar":"root ::= \"{\\\"size\\\": \" [1-9] \"}\""}`,
		`"response_format":null,"format":"","guided_json":null,"json_schema":` + sizeSchema,
		`"response_format":{"type":"text"},"json_schema":` + sizeSchema,
		`"guided_json":` + sizeSchema + `,"json_schema":` + sizeSchema,
	} {
		for path, rest := range formatRoutes {
			r := ts.do(t, "POST", path, `{`+rest+`,`+demand+`}`)
			if r.status != 200 {
				t.Errorf("%s %s: %d %s", path, demand, r.status, r.text)
				continue
			}
			var a struct{ Size int }
			if text := answerText(t, r); json.Unmarshal([]byte(text), &a) != nil || a.Size < 1 ||
				a.Size > 99 {
				t.Errorf("%s %s: %q", path, demand, text)
			}
		}
	}
}

func TestDemandsThatAreNotUnderstoodAreNamed(t *testing.T) {
	ts := serve(t)
	for demand, names := range map[string]string{
		`"response_format":{}`:                             "response_format",
		`"response_format":{"name":"x"}`:                   "response_format",
		`"response_format":"json"`:                         "response_format",
		`"response_format":{"type":"regex","pattern":"a"}`: "response_format.pattern",
		`"response_format":{"type":"xml"}`:                 "response_format",
		`"response_format":{"type":"json_schema"}`:         "response_format",
		`"response_format":{"type":"json_schema","json_schema":` + sizeSchema +
			`}`: "response_format.json_schema",
		`"response_format":{"type":"json_schema","json_schema":{"schema":7}}`: "response_format.json_schema.schema",
		`"response_format":{"type":"json_object","shema":` + sizeSchema +
			`}`: "response_format.shema",
		`"response_format":{"type":"text","schema":` + sizeSchema +
			`}`: "response_format",
		`"output_config":{"type":"json_schema","schema":` + sizeSchema +
			`}`: "output_config.schema",
		`"output_config":{"schema":` + sizeSchema +
			`}`: "output_config.schema",
		`"text":{"type":"json_schema","schema":` + sizeSchema + `}`: "text.schema",
		`"format":"xml"`:                      "format",
		`"format":[1]`:                        "format",
		`"grammar":7`:                         "grammar",
		`"grammar":"rot ::= 7"`:               "grammar",
		`"guided_regex":"a+"`:                 "guided_regex",
		`"guided_choice":[]`:                  "guided_choice",
		`"structured_outputs":{"regex":"a+"}`: "structured_outputs.regex",
		`"structural_tag":{"a":1}`:            "structural_tag",
		`"json_schema":` + sizeSchema +
			`,"grammar":"root ::= \"a\""`: "grammar",
		`"extra_body":{"guided_json":` + sizeSchema +
			`}`: "extra_body.guided_json",
		`"guided_json":"no schema"`:           "guided_json",
		`"format":{"type":"no type of JSON"}`: "unknown type",
		`"response_format":{"type":"json_object","schema":` + sizeSchema +
			`,"value":{"type":"array"}}`: "response_format",
	} {
		for path, rest := range formatRoutes {
			r := ts.do(t, "POST", path, `{`+rest+`,`+demand+`}`)
			if r.status != 400 || !strings.Contains(r.text, names) {
				t.Errorf("%s %s: %d %s, want 400 that names %s", path, demand, r.status, r.text,
					names)
			}
		}
	}
	for _, path := range []string{"/api/chat", "/api/generate"} {
		r := ts.do(t, "POST", path, `{`+strings.Replace(formatRoutes[path], `"options":{`,
			`"options":{"grammar":"root ::= \"a\"",`, 1)+`}`)
		if r.status != 400 || !strings.Contains(r.text, "options.grammar") {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, s := range []string{`{"response_format":{"type":"json_object","schema":{}}}`,
		`{"text":{"format":{"json_schema":{"schema":true}}}}`, `{"guided_choice":["a\"\\\n"]}`,
		`{"structured_outputs":{"json":"{}"}}`, `{"output_config":{"format":null}}`,
		`{"grammar":"root ::= \"a\""}`, `{"format":"json","extra_body":{"regex":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var q fields.Form
		if decodeJSON(data, &q) != nil {
			return
		}
		checkForm(t, &q)
	})
}

// checkForm checks what demands become.
func checkForm(t *testing.T, q *fields.Form) {
	var r engine.Request
	err := q.Apply(&r)
	if err != nil {
		if fail, ok := errors.AsType[*failure.Failure](err); !ok ||
			fail.Status != 400 || fail.Param == "" {
			t.Fatalf("%v", err)
		}
		return
	}
	if r.Grammar != "" && len(r.Schema) > 0 || len(r.Schema) > 0 && !json.Valid(r.Schema) {
		t.Fatalf("%+v", r)
	}
}
