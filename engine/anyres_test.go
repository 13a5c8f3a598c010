package engine

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// anyResProjector writes the built-in model's tower with the picture layout of LLaVA 1.6.
func anyResProjector(t *testing.T, width int) string {
	t.Helper()
	f, err := gguf.Open(seedProjector)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gguf.NewWriter("clip")
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	w.Set("clip.vision.image_aspect_ratio", "anyres")
	w.Set("clip.vision.mm_patch_merge_type", "spatial_unpad")
	w.Set("clip.vision.image_grid_pinpoints", []int32{112, 224, 224, 112, 224, 224, 336, 112, 112,
		336})
	for _, x := range f.Tensors() {
		w.AddTensor(x.Name, x.Type, x.Dims, x.Data())
	}
	w.AddTensor("model.image_newline", gguf.F32, []uint64{uint64(width)}, make([]byte, 4*width))
	path := filepath.Join(t.TempDir(), "mmproj.gguf")
	var file bytes.Buffer
	if _, err := w.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// photograph is a JPEG file of w by h pixels, one colour with a block of another.
func photograph(t *testing.T, w, h int) *Image {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{200, 60, 40, 255}
			if x > w/3 && x < w/2 && y > h/4 && y < h/2 {
				c = color.RGBA{20, 90, 220, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, m, nil); err != nil {
		t.Fatal(err)
	}
	return &Image{Name: "photo.jpg", Data: file.Bytes()}
}

func TestLLaVA16TakesAsManyTokensAsItsLayoutSays(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and nothing in it is concurrent")
	}
	width := open(t).lm.NEmbdInp()
	projector := anyResProjector(t, width)
	const tile = 64 // tokens: 8 x 8 patches
	for _, c := range []struct {
		name        string
		w, h, image int
	}{
		{"a square picture takes 2 x 2 tiles", 1200, 1200, tile + 16*(16+1)},
		{"a wide one two side by side", 2000, 1000, tile + 8*(16+1)},
		{"a tall one loses its margins", 800, 2000, tile + (24-2*2)*(8+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var answers []wholeAnswer
			for _, exact := range []bool{false, true} {
				m := open(t, func(s *ModelSpec) { s.Projector, s.ExactImages = projector, exact })
				plan, err := m.vision.Plan(c.w, c.h)
				if err != nil {
					t.Fatal(err)
				}
				want := plan.Tokens()
				a := mustAsk(t, m, Request{Messages: []Message{User(Picture(photograph(t, c.w,
					c.h)), Text("What color is it?"))}, MaxTokens: 4})
				if a.Usage.Image != want {
					t.Errorf("exact %v: %d image tokens, foretold %d", exact, a.Usage.Image, want)
				}
				answers = append(answers, a)
			}
			if answers[0].Usage.Image != c.image {
				t.Errorf("%d image tokens, want %d", answers[0].Usage.Image, c.image)
			}
			if answers[0].text != answers[1].text {
				t.Errorf("%q of a photo shrunk while decoding, %q of the whole", answers[0].text,
					answers[1].text)
			}
		})
	}
}
