package server

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestPicturesReachTheModelFromAnyTurnOfAnyAPI sends a picture in the result of a tool, or in a
// system prompt, and then asks about another one. The toy tells the star's color only if the star
// is in its own place.
func TestPicturesReachTheModelFromAnyTurnOfAnyAPI(t *testing.T) {
	ts := serve(t)
	circle, star := dataURL(t, "shape-4.png"), dataURL(t, "shape-2.png")
	raw := func(name string) string { return base64.StdEncoding.EncodeToString(picture(t, name)) }
	circleRaw, starRaw := raw("shape-4.png"), raw("shape-2.png")
	const question = "What color is the star?"
	part := func(url string) string {
		return fmt.Sprintf(`{"type":"image_url","image_url":{"url":%q}}`, url)
	}
	input := func(url string) string {
		return fmt.Sprintf(`{"type":"input_image","image_url":%q}`, url)
	}
	block := func(data string) string {
		return fmt.Sprintf(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":%q}}`, data)
	}
	openaiTurns := func(result string) string {
		return `{"model":"seed","temperature":0,"max_tokens":12,"messages":[{"role":"user","content":"look"},` +
			`{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"shoot","arguments":"{}"}}]},` +
			result + `,{"role":"assistant","content":"ok"},{"role":"user","content":[` +
			part(star) + `,{"type":"text","text":"` + question + `"}]}]}`
	}
	anthropicTurns := func(content string) string {
		return `{"model":"seed","temperature":0,"max_tokens":12,"messages":[{"role":"user","content":"look"},` +
			`{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"shoot","input":{}}]},` +
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":` +
			content + `}]},` +
			`{"role":"assistant","content":"ok"},{"role":"user","content":[` + block(starRaw) +
			`,{"type":"text","text":"` + question + `"}]}]}`
	}
	responsesTurns := func(output string) string {
		return `{"model":"seed","temperature":0,"max_output_tokens":12,"input":[{"role":"user","content":"look"},` +
			`{"type":"function_call","call_id":"c1","name":"shoot","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":` + output + `},` +
			`{"role":"assistant","content":"ok"},{"role":"user","content":[` + input(star) +
			`,{"type":"input_text","text":"` + question + `"}]}]}`
	}
	ollamaTurns := func(result string) string {
		return `{"model":"seed","stream":false,"options":{"temperature":0,"num_predict":12},"messages":[{"role":"user","content":"look"},` +
			`{"role":"assistant","tool_calls":[{"function":{"name":"shoot","arguments":{}}}]},` +
			result +
			`,{"role":"assistant","content":"ok"},{"role":"user","content":"` + question +
			`","images":["` + starRaw + `"]}]}`
	}
	for name, c := range map[string]struct{ path, with, without string }{
		"openai, a tool": {"/v1/chat/completions",
			openaiTurns(`{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"here"},` + part(circle) + `,{"type":"text","text":"it is"}]}`),
			openaiTurns(`{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"here"},{"type":"text","text":"it is"}]}`)},
		"openai, an assistant": {"/v1/chat/completions",
			openaiTurns(`{"role":"tool","tool_call_id":"c1","content":"x"},{"role":"assistant","content":[{"type":"text","text":"here"},` + part(circle) + `]}`),
			openaiTurns(`{"role":"tool","tool_call_id":"c1","content":"x"},{"role":"assistant","content":[{"type":"text","text":"here"}]}`)},
		"openai, a developer": {"/v1/chat/completions",
			strings.Replace(openaiTurns(`{"role":"tool","tool_call_id":"c1","content":"x"}`),
				`"messages":[`, `"messages":[{"role":"developer","content":[`+part(
					circle)+`,{"type":"text","text":"a circle"}]},`, 1),
			strings.Replace(openaiTurns(`{"role":"tool","tool_call_id":"c1","content":"x"}`),
				`"messages":[`, `"messages":[{"role":"developer","content":[{"type":"text","text":"a circle"}]},`, 1)},
		"responses": {"/v1/responses", responsesTurns(`[` + input(circle) + `]`),
			responsesTurns(`""`)},
		"responses, a text": {"/v1/responses", responsesTurns(`[{"type":"input_text","text":"x"},` +
			input(circle) + `]`), responsesTurns(`"x"`)},
		"anthropic": {"/v1/messages", anthropicTurns(`[{"type":"text","text":"x"},` +
			block(circleRaw) + `]`), anthropicTurns(`"x"`)},
		"anthropic, system": {"/v1/messages",
			strings.Replace(anthropicTurns(`"x"`), `"messages":[`,
				`"system":[{"type":"text","text":"a circle"},`+block(circleRaw)+`],"messages":[`,
				1),
			strings.Replace(anthropicTurns(`"x"`), `"messages":[`,
				`"system":"a circle","messages":[`, 1)},
		"ollama": {"/api/chat",
			ollamaTurns(`{"role":"tool","tool_name":"shoot","content":"x","images":["` + circleRaw +
				`"]}`),
			ollamaTurns(`{"role":"tool","tool_name":"shoot","content":"x"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			with, without := ts.do(t, "POST", c.path, c.with), ts.do(t, "POST", c.path, c.without)
			if with.status != 200 || without.status != 200 {
				t.Fatalf("%d %s\n%d %s", with.status, with.text, without.status, without.text)
			}
			if n, k := promptTokens(t, with), promptTokens(t, without); n < k+64 {
				t.Errorf("%d tokens with the picture, %d without", n, k)
			}
			if !strings.Contains(with.text, "black") {
				t.Errorf("%s", with.text)
			}
		})
	}
}

// promptTokens is how long the prompt of an answer was, in any API's words.
func promptTokens(t *testing.T, r httpReply) int {
	t.Helper()
	var a struct {
		PromptEvalCount int `json:"prompt_eval_count"`
		Usage           struct {
			PromptTokens int `json:"prompt_tokens"`
			InputTokens  int `json:"input_tokens"`
			CacheRead    int `json:"cache_read_input_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(r.text), &a); err != nil {
		t.Fatal(err)
	}
	return a.PromptEvalCount + a.Usage.PromptTokens + a.Usage.InputTokens + a.Usage.CacheRead
}

func TestTheModelIsToldThatACallFailed(t *testing.T) {
	ts := serve(t)
	turns := func(result string) string {
		return `{"model":"seed","messages":[{"role":"user","content":"look"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"shoot","input":{}}]},` +
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1"` + result + `}]}]}`
	}
	count := func(result string) int {
		r := ts.do(t, "POST", "/v1/messages/count_tokens", turns(result))
		if r.status != 200 {
			t.Fatal(r.text)
		}
		return promptTokensCounted(t, r)
	}
	for name, c := range map[string][2]string{
		"a text": {`,"is_error":true,"content":"no file"`, `,"content":"Error: no file"`},
		"blocks": {`,"is_error":true,"content":[{"type":"text","text":"no file"}]`,
			`,"content":"Error: no file"`},
		"nothing": {`,"is_error":true`, `,"content":"Error: the call failed."`},
		"says so": {`,"is_error":true,"content":"Error: no file"`,
			`,"content":"Error: no file"`},
		"not an error": {`,"is_error":false,"content":"no file"`, `,"content":"no file"`},
	} {
		if n, want := count(c[0]), count(c[1]); n != want {
			t.Errorf("%s: %d tokens, want %d", name, n, want)
		}
	}
}

func promptTokensCounted(t *testing.T, r httpReply) int {
	t.Helper()
	var a struct {
		Tokens int `json:"input_tokens"`
	}
	if err := json.Unmarshal([]byte(r.text), &a); err != nil {
		t.Fatal(err)
	}
	return a.Tokens
}

// TestCallsThatAreCutOffLeaveNoTrace cuts answers that must be calls at each length, in each API.
func TestCallsThatAreCutOffLeaveNoTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("grammars are long under the race detector, and other tests use them there")
	}
	ts := serve(t)
	function := `"name":"paint","parameters":` + paintSchema
	for path, body := range map[string]string{
		"/v1/chat/completions": `"max_tokens":%d,"temperature":0,"messages":[{"role":"user","content":"Paint it."}],"tool_choice":"required","parallel_tool_calls":false,"tools":[{"type":"function","function":{` + function + `}}]`,
		"/v1/responses":        `"max_output_tokens":%d,"temperature":0,"input":"Paint it.","tool_choice":"required","parallel_tool_calls":false,"tools":[{"type":"function",` + function + `}]`,
		"/v1/messages":         `"max_tokens":%d,"temperature":0,"messages":[{"role":"user","content":"Paint it."}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"tools":[{"name":"paint","input_schema":` + paintSchema + `}]`,
	} {
		called, answers := 0, 0
		for _, n := range []int{1, 4, 9, 16, 25, 40, 60, 75, 90, 400} {
			answers++
			r := ts.do(t, "POST", path, `{"model":"seed",`+fmt.Sprintf(body, n)+`}`)
			if r.status != 200 || strings.Contains(r.text, "tool_call>") {
				t.Fatalf("%s, %d tokens: %d %s", path, n, r.status, r.text)
			}
			if strings.Contains(r.text, `"call_id":"call`) ||
				strings.Contains(r.text, `"id":"call_`) {
				called++
				if !strings.Contains(r.text, `red`) && !strings.Contains(r.text, `cyan`) {
					t.Errorf("%s, %d tokens: %s", path, n, r.text)
				}
			}
		}
		if called == 0 || called == answers {
			t.Errorf("%s: %d of %d answers have a call", path, called, answers)
		}
	}
}

func TestOllamaTakesArgumentsAsTexts(t *testing.T) {
	ts := serve(t)
	body := func(arguments string) string {
		return `{"model":"seed","stream":false,"options":{"num_predict":2},"messages":[{"role":"user","content":"look"},{"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"shoot","arguments":` +
			arguments + `}}]},{"role":"tool","tool_name":"shoot","content":"x"},{"role":"user","content":"What?"}]}`
	}
	object := promptTokens(t, ts.do(t, "POST", "/api/chat", body(`{"a":"b"}`)))
	if text := promptTokens(t, ts.do(t, "POST", "/api/chat", body(`"{\"a\":\"b\"}"`))); text !=
		object || text == 0 {
		t.Errorf("%d tokens with a text, %d with an object", text, object)
	}
	for arguments, want := range map[string]int{`""`: 200, `null`: 200, `"{\"a\":"`: 200,
		`"look"`: 400, `"[1]"`: 400, `7`: 400, `[1]`: 400} {
		if r := ts.do(t, "POST", "/api/chat", body(arguments)); r.status != want ||
			want == 400 && !strings.Contains(r.text,
				"messages[1].tool_calls[0].function.arguments") {
			t.Errorf("%s: %d %s", arguments, r.status, r.text)
		}
	}
}
