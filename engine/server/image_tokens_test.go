package server

import (
	"encoding/json"
	"strings"
	"testing"
)

// Each API says how many tokens pictures took, 64 each with this model, and the log once that
// bounds do not change them.
func TestEveryRouteCountsTheTokensOfPictures(t *testing.T) {
	ts := serve(t)
	const note = "bounds of image tokens have no effect"
	for name, c := range requests(pdfOf(t, "shape-2.png", "shape-4.png")) {
		for _, bounds := range []string{"", `"image_max_tokens":10,`} {
			body := strings.Replace(c[1], `{`, `{`+bounds, 1)
			if strings.HasPrefix(c[0], "/api/") {
				body = strings.Replace(c[1], `"options":{`, `"options":{`+bounds, 1)
			}
			r := ts.do(t, "POST", c[0], body)
			var a struct {
				Image int `json:"image_tokens"`
				Usage struct {
					Image  int `json:"image_tokens"`
					Prompt struct {
						Image int `json:"image_tokens"`
					} `json:"prompt_tokens_details"`
					Input struct {
						Image int `json:"image_tokens"`
					} `json:"input_tokens_details"`
				}
			}
			if err := json.Unmarshal([]byte(r.text), &a); err != nil {
				t.Fatal(err)
			}
			if n := a.Image + a.Usage.Image + a.Usage.Prompt.Image + a.Usage.Input.Image; n != 128 {
				t.Errorf("%s, %q: %d image tokens in %s", name, bounds, n, r.text)
			}
		}
	}
	chat := requests("")["chat, for a picture"]
	low := strings.Replace(chat[1], `"data:application/pdf;base64,"`,
		`"`+dataURL(t, "shape-2.png")+`","detail":"low"`, 1)
	if r := ts.do(t, "POST", chat[0], low); r.status != 200 {
		t.Errorf("%d %s", r.status, r.text)
	}
	if n := strings.Count(ts.log.String(), note); n != 1 {
		t.Errorf("the log says %d times that %s", n, note)
	}
}
