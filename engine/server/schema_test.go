package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// uncertain is a schema whose last part no grammar states, and which every answer to it satisfies.
const uncertain = `{"type":"integer","minimum":10,"maximum":18,"not":{"type":"array","uniqueItems":true}}`

// TestEveryRouteSaysThatAnAnswerWasChecked asks each route for what is checked at the end.
func TestEveryRouteSaysThatAnAnswerWasChecked(t *testing.T) {
	ts := serve(t)
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"seed","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":` + uncertain + `}}`,
		"/v1/responses":        `{"model":"seed","input":"hi","text":{"format":{"type":"json_schema","name":"a","schema":` + uncertain + `}}`,
		"/v1/messages":         `{"model":"seed","max_tokens":100,"messages":[{"role":"user","content":"hi"}],"output_config":{"format":{"type":"json_schema","schema":` + uncertain + `}}`,
		"/api/chat":            `{"model":"seed","messages":[{"role":"user","content":"hi"}],"format":` + uncertain,
		"/api/generate":        `{"model":"seed","prompt":"hi","format":` + uncertain,
	} {
		for _, stream := range []string{"false", "true"} {
			r := ts.do(t, "POST", path, body+`,"stream":`+stream+`}`, retriesHeader, "10")
			if r.status != http.StatusOK || !strings.Contains(r.text, `"schema_checked":true`) {
				t.Errorf("%s, stream %s: %d %s", path, stream, r.status, r.text)
			}
			if r.header.Get(relaxedHeader) != "" {
				t.Errorf("%s: relaxed: %s", path, r.header.Get(relaxedHeader))
			}
		}
	}
}

// TestAnInvalidAnswerIsAnError asks for what the model cannot but write wrongly: it is held to one
// value twice, and they are to differ.
func TestAnInvalidAnswerIsAnError(t *testing.T) {
	ts := serve(t)
	schema := `{"type":"array","prefixItems":[{"pattern":"^(a|b)*a(a|b){20}$","maxLength":3,"type":"string"}],"minItems":1,"maxItems":1}`
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"seed","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":` + schema + `}}}`,
		"/api/chat":            `{"model":"seed","stream":false,"messages":[{"role":"user","content":"hi"}],"format":` + schema + `}`,
	} {
		r := ts.do(t, "POST", path, body)
		if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.text,
			"not valid under its schema") {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
}

// TestToolsAreRelaxedUnlessStrict gives a tool that nobody calls a schema that means nothing.
func TestToolsAreRelaxedUnlessStrict(t *testing.T) {
	ts := serve(t)
	body := func(strict string) string {
		return `{"model":"seed","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","strict":` + strict +
			`,"parameters":{"type":"object","properties":{"x":{"$ref":"http://x.example/y"}}}}}]}`
	}
	// The bias of the token that ends answers makes one of nothing, or lets none end at once.
	for _, bias := range []string{"100", "-100"} {
		r := ts.do(t, "POST", "/v1/chat/completions", strings.Replace(body("false"), `{`,
			`{"max_tokens":4,"logit_bias":{"2":`+bias+`},`, 1))
		if r.status != http.StatusOK || !strings.Contains(r.header.Get(relaxedHeader),
			`tool "f": #/properties/x`) {
			t.Errorf("bias %s: %d %q %s", bias, r.status, r.header.Get(relaxedHeader), r.text)
		}
	}
	r := ts.do(t, "POST", "/v1/chat/completions", body("true"))
	var e struct{ Error struct{ Message string } }
	if err := json.Unmarshal([]byte(r.text), &e); err != nil || r.status != http.StatusBadRequest ||
		!strings.Contains(e.Error.Message, "nothing is fetched") {
		t.Errorf("%d %s", r.status, r.text)
	}
}
