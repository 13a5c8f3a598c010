// Compiled for the race detector, the client's module alone would take longer than all tests.

//go:build !race

package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"

	wire "github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

func TestPicturesAreDrawnForOpenAIsClients(t *testing.T) {
	asked := fakeProgram(t, "")
	ts := drawingServer(t)
	reply := ts.generate(t, `{"model": "tiny", "prompt": "a red house", "n": 2, "size": "128x64", "quality": "high", "response_format": "b64_json",
		"steps": 3, "seed": 7, "negative_prompt": "people", "guidance": 1.5}`)
	var answer wire.Images
	if err := json.Unmarshal([]byte(reply.text), &answer); err != nil ||
		reply.status != http.StatusOK || len(answer.Data) != 2 || answer.Data[1].Seed != 8 ||
		answer.Size != "128x64" {
		t.Fatalf("%d %s, %v", reply.status, reply.text, err)
	}
	data, err := base64.StdEncoding.DecodeString(answer.Data[0].B64)
	if err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("%v: %.20q", err, data)
	}
	want := "-m tiny.safetensors -p a red house -n people -W 128 -H 64 --steps 3 -s 7 -b 2 -o out-%d.png --cfg-scale 1.5"
	if got, _ := os.ReadFile(asked); strings.Join(strings.Fields(string(got)), " ") != want {
		t.Errorf("asked for %s", got)
	}
	official, err := ts.openaiClient().Images.Generate(t.Context(), openai.ImageGenerateParams{
		Model: "tiny", Prompt: "a red house", N: openai.Int(1), Size: "64x64",
		ResponseFormat: openai.ImageGenerateParamsResponseFormatB64JSON})
	if err != nil || len(official.Data) != 1 || official.Data[0].B64JSON != answer.Data[0].B64 ||
		official.Created == 0 {
		t.Errorf("OpenAI's client for Go: %v", err)
	}
	// Without a name it is the only one that draws, and without a size what it was trained with.
	if reply := ts.generate(t, `{"prompt": "x"}`); reply.status != http.StatusOK ||
		!strings.Contains(reply.text, "512x512") {
		t.Errorf("%d %s", reply.status, reply.text)
	}
	ts.idle(t)
	if list := ts.pool.List(); len(list) > 0 {
		t.Errorf("memory is still counted: %+v", list)
	}
}

func TestEditsBeginWithAPicture(t *testing.T) {
	asked := fakeProgram(t, "cp mask.png \"$(dirname \"$0\")/mask.png\"")
	ts := drawingServer(t)
	var picture, mask bytes.Buffer
	img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for i := range img.Pix {
		img.Pix[i] = 0xff
	}
	if err := png.Encode(&picture, img); err != nil {
		t.Fatal(err)
	}
	img.SetNRGBA(3, 5, color.NRGBA{})
	if err := png.Encode(&mask, img); err != nil {
		t.Fatal(err)
	}
	body, kind := form(t, map[string]string{"prompt": "in winter", "model": "tiny", "size": "64x64",
		"strength": "0.5", "seed": "1", "unknown": "x"},
		map[string][]byte{"image": picture.Bytes(), "mask": mask.Bytes()})
	reply := ts.postAs(t, "/v1/images/edits", kind, body)
	if reply.status != http.StatusOK {
		t.Fatalf("%d %s", reply.status, reply.text)
	}
	want := "\n-i\ninit.png\n--strength\n0.5\n--mask\nmask.png\n"
	if got, _ := os.ReadFile(asked); !strings.Contains(string(got), want) {
		t.Errorf("asked for %s", got)
	}
	official, err := ts.openaiClient().Images.Edit(t.Context(), openai.ImageEditParams{
		Model: "tiny", Prompt: "in winter", Size: "64x64",
		Image: openai.ImageEditParamsImageUnion{OfFile: bytes.NewReader(picture.Bytes())},
		Mask:  bytes.NewReader(mask.Bytes())})
	if err != nil || len(official.Data) != 1 || official.Data[0].B64JSON == "" {
		t.Errorf("OpenAI's client for Go: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(asked), "mask.png"))
	if err != nil {
		t.Fatal(err)
	}
	white, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[image.Point]uint32{{X: 3, Y: 5}: 0xffff, {X: 4, Y: 5}: 0} {
		if r, _, _, _ := white.At(p.X, p.Y).RGBA(); r != want {
			t.Errorf("the mask is %#x at %v", r, p)
		}
	}
	for name, c := range map[string]struct {
		fields map[string]string
		files  map[string][]byte
		words  string
	}{
		"no picture": {map[string]string{"prompt": "x"}, nil, "image is missing"},
		"no text":    {nil, map[string][]byte{"image": picture.Bytes()}, "prompt"},
		"no number": {map[string]string{"prompt": "x", "n": "two"},
			map[string][]byte{"image": picture.Bytes()}, "whole number"},
		"strength": {map[string]string{"prompt": "x", "strength": "NaN"},
			map[string][]byte{"image": picture.Bytes()}, "strength"},
		"no mask": {map[string]string{"prompt": "x"},
			map[string][]byte{"image": picture.Bytes(), "mask": []byte("x")}, "no PNG"},
		"text as one": {map[string]string{"prompt": "x"},
			map[string][]byte{"image": []byte("no picture")}, "picture"},
		"empty": {map[string]string{"prompt": "x"}, map[string][]byte{"image": {}},
			"no bytes"},
		"two pictures": {map[string]string{"prompt": "x"},
			map[string][]byte{"image": picture.Bytes(), "image[]": picture.Bytes()}, "several"},
	} {
		body, kind := form(t, c.fields, c.files)
		if reply := ts.postAs(t, "/v1/images/edits", kind, body); reply.status !=
			http.StatusBadRequest || !strings.Contains(reply.text, c.words) {
			t.Errorf("%s: %d %s", name, reply.status, reply.text)
		}
	}
	if reply := ts.postAs(t, "/v1/images/edits", "application/json",
		`{"prompt": "x"}`); reply.status != http.StatusBadRequest || !strings.Contains(reply.text,
		"form") {
		t.Errorf("%d %s", reply.status, reply.text)
	}
}
