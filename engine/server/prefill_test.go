package server

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestAnAnswerGoesOnFromItsBeginning(t *testing.T) {
	ts := serve(t)
	image := base64.StdEncoding.EncodeToString(picture(t, "shape-4.png"))
	const question, begun = "What is in this picture?",
		`{"role":"assistant","content":"an orange "}`
	for path, body := range map[string]string{
		"/v1/chat/completions": `{"model":"seed","temperature":0,"messages":[{"role":"user","content":[{"type":"image_url","image_url":"` + image + `"},{"type":"text","text":"` + question + `"}]},` + begun + `]}`,
		"/v1/messages":         `{"model":"seed","temperature":0,"max_tokens":50,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"` + image + `"}},{"type":"text","text":"` + question + `"}]},` + begun + `]}`,
		"/api/chat":            `{"model":"seed","stream":false,"options":{"temperature":0},"messages":[{"role":"user","content":"` + question + `","images":["` + image + `"]},` + begun + `]}`,
	} {
		if r := ts.do(t, "POST", path, body); r.status != 200 || !strings.Contains(r.text,
			`" circle on a cyan background"`) {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
		held := map[string]string{"/v1/chat/completions": `{"response_format":{"type":"json_object"},`,
			"/v1/messages": `{"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},`, "/api/chat": `{"format":"json",`}[path]
		want := 200 // a turn of its own
		if path == "/v1/messages" {
			want = 400
		}
		if r := ts.do(t, "POST", path, held+body[1:]); r.status != want {
			t.Errorf("%s, held to a format: %d %s", path, r.status, r.text)
		}
	}
	r := ts.do(t, "POST",
		"/v1/chat/completions", `{"model":"seed","temperature":0,"add_generation_prompt":true,"messages":[{"role":"user","content":[{"type":"image_url","image_url":"`+image+`"},{"type":"text","text":"`+question+`"}]},`+begun+`]}`)
	if r.status != 200 || strings.Contains(r.text, `" circle`) {
		t.Errorf("a turn of its own: %d %s", r.status, r.text)
	}
}

func TestAllowedTools(t *testing.T) {
	ts := serve(t)
	tools := func(wrap func(name string) string) string {
		return `"tools":[` + wrap("paint") + `,` + wrap("erase") + `]`
	}
	chat := tools(func(n string) string {
		return `{"type":"function","function":{"name":"` + n + `","parameters":` + paintSchema +
			`}}`
	})
	flat := tools(func(n string) string {
		return `{"type":"function","name":"` + n + `","parameters":` + paintSchema + `}`
	})
	for path, bodies := range map[string][2]string{
		"/v1/chat/completions": {`{"model":"seed","temperature":0,"parallel_tool_calls":false,"messages":[{"role":"user","content":"x"}],` + chat, `{"type":"allowed_tools","allowed_tools":{"mode":"MODE","tools":[{"type":"function","function":{"name":"NAME"}}]}}`},
		"/v1/responses":        {`{"model":"seed","temperature":0,"parallel_tool_calls":false,"input":"x",` + flat, `{"type":"allowed_tools","mode":"MODE","tools":[{"type":"function","name":"NAME"}]}`},
	} {
		ask := func(mode, name string) httpReply {
			return ts.do(t, "POST", path, bodies[0]+`,"tool_choice":`+strings.NewReplacer("MODE",
				mode, "NAME", name).Replace(bodies[1])+`}`)
		}
		if r := ask("required", "erase"); r.status != 200 || !strings.Contains(r.text,
			`"arguments":"{`) || strings.Contains(r.text, `"name":"paint","arguments"`) {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
		if r := ask("auto", "paint"); r.status != 200 {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
		for _, bad := range [][2]string{{"required", "burn"}, {"never", "paint"}} {
			if r := ask(bad[0], bad[1]); r.status != 400 || !strings.Contains(r.text,
				"tool_choice") {
				t.Errorf("%s %v: %d %s", path, bad, r.status, r.text)
			}
		}
	}
}
