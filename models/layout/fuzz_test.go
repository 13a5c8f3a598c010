package layout_test

import (
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
)

// Whatever a file says and however long a picture is, a plan is an error or one whose views lie
// within what they are cut from.
func FuzzPlan(f *testing.F) {
	kinds := []string{"qwen2vl_merger", "qwen3vl_merger", "glm4v", "gemma3", "gemma4v", "internvl",
		"pixtral", "idefics3", "janus_pro", "other"}
	for i := range kinds {
		f.Add(uint8(i), uint32(448), uint32(14), uint32(2), uint32(2048), uint32(12), 640, 480)
		f.Add(uint8(i), uint32(512), uint32(16), uint32(4), uint32(2048), uint32(0), 1, 1000)
		f.Add(uint8(i), uint32(1), uint32(1), uint32(1), uint32(1<<31), uint32(1<<31), 1<<24, 1<<24)
	}
	f.Fuzz(func(t *testing.T, kind uint8, size, patch, merge, longest, tiles uint32, w, h int) {
		file := gguf.NewWriter("clip")
		file.Set("clip.projector_type", kinds[int(kind)%len(kinds)])
		for key, n := range map[string]uint32{"image_size": size, "patch_size": patch,
			"spatial_merge_size": merge, "projector.scale_factor": merge,
			"preproc_image_size": longest, "image_max_pixels": longest,
			"preproc_max_tiles": tiles} {
			if n != 0 {
				file.Set("clip.vision."+key, n)
			}
		}
		data, err := file.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		g, err := gguf.Parse(data, "fuzz")
		if err != nil {
			t.Fatal(err)
		}
		l, err := layout.New(g, layout.Options{Tokens: int(tiles % 5000)})
		if err != nil {
			return
		}
		p, err := l.Plan(w, h)
		if err != nil {
			return
		}
		size2 := func(i int) (int, int) {
			if i == layout.Original {
				return w, h
			}
			if side := p.Steps[i].Square; side != 0 {
				return side, side
			}
			return p.Steps[i].W, p.Steps[i].H
		}
		for i, s := range p.Steps {
			if s.W < 1 || s.H < 1 || s.From >= i {
				t.Fatalf("%v: step %d: %+v", l, i, s)
			}
		}
		if len(p.Views) == 0 || len(p.Views) > 1<<13 {
			t.Fatalf("%v: %d views", l, len(p.Views))
		}
		for i, v := range p.Views {
			vw, vh := size2(v.Of)
			if v.X < 0 || v.Y < 0 || v.W < 1 || v.H < 1 || v.X+v.W > vw || v.Y+v.H > vh ||
				v.Tokens < 1 || v.Tokens > l.MaxTokens() {
				t.Fatalf("%v: view %d of %d x %d (at most %d tokens): %+v", l, i, vw, vh,
					l.MaxTokens(), v)
			}
		}
	})
}
