package layout_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
)

func sum(pix []byte) string {
	s := sha256.Sum256(pix)
	return hex.EncodeToString(s[:])
}

// The tower must see what transformers' processor shows it, in every byte.
func TestPicturesAreThoseOfTransformers(t *testing.T) {
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		t.Run(g.Name, func(t *testing.T) {
			_, projector, err := g.Files()
			if err != nil {
				t.Fatal(err)
			}
			f, err := gguf.Parse(projector, g.Name)
			if err != nil {
				t.Fatal(err)
			}
			l, err := layout.New(f, layout.Options{})
			if errors.Is(err, layout.ErrUnknown) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range g.Pictures {
				t.Run(fmt.Sprintf("%dx%d", p.W, p.H), func(t *testing.T) {
					l := l
					if p.Budget != 0 {
						if l, err = layout.New(f, layout.Options{Tokens: p.Budget}); err != nil {
							t.Fatal(err)
						}
					}
					comparePictures(t, l, p)
				})
			}
		})
	}
}

// SmolVLM's pictures with do_image_splitting false, which a file says by a key of our own:
// scripts/golden/whole.py.
func TestPicturesThatAreNotCutAreThoseOfTransformers(t *testing.T) {
	data, err := os.ReadFile("testdata/whole/smolvlm.json")
	if err != nil {
		t.Fatal(err)
	}
	var g layouttest.Golden
	if err := json.Unmarshal(data, &g); err != nil || len(g.Pictures) == 0 {
		t.Fatal(err)
	}
	w := gguf.NewWriter("clip")
	for key, value := range map[string]any{"clip.projector_type": "idefics3",
		"clip.vision.image_size": uint32(512), "clip.vision.patch_size": uint32(16),
		"clip.vision.projector.scale_factor": uint32(4),
		"clip.vision.preproc_image_size":     uint32(2048), layout.SplittingKey: false} {
		w.Set(key, value)
	}
	file, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(file, "whole")
	if err != nil {
		t.Fatal(err)
	}
	l, err := layout.New(f, layout.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range g.Pictures {
		t.Run(fmt.Sprintf("%dx%d", p.W, p.H), func(t *testing.T) {
			comparePictures(t, l, p)
			if plan, err := l.Plan(p.W, p.H); err != nil || plan.Tokens() != 64 {
				t.Errorf("%v, %v", plan, err)
			}
		})
	}
}

// scenes are the pictures that were made, by their hashes: most families have the same.
var scenes = map[string]*imaging.RGB{}

func comparePictures(t *testing.T, l layout.Layout, p layouttest.Picture) {
	plan, err := l.Plan(p.W, p.H)
	if p.Refused != "" {
		if !errors.Is(err, layout.ErrShape) {
			t.Errorf("%v; transformers: %s", err, p.Refused)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	img, ok := scenes[p.PixelsIn]
	if !ok {
		img = layouttest.Scene(p.W, p.H)
		if sum(img.Pix) != p.PixelsIn {
			t.Fatal("the picture is not the golden's")
		}
		scenes[p.PixelsIn] = img
	}
	views, err := plan.Pictures(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if len(views) != len(p.Tiles) {
		t.Fatalf("%d views, want %d", len(views), len(p.Tiles))
	}
	for i, v := range views {
		want := p.Tiles[i]
		if v.W != want.W || v.H != want.H {
			t.Errorf("view %d is of %d x %d pixels, want %d x %d", i, v.W, v.H, want.W, want.H)
		} else if sum(v.Pix) != want.SHA256 {
			t.Errorf("view %d has other pixels", i)
		}
	}
	if n := plan.Tokens(); p.Embeddings != nil && n != p.Embeddings.Shape[0] &&
		n-p.Embeddings.Shape[0] != plan.Views[0].H/viewToken(plan)-1 {
		t.Errorf("%d tokens, want %d", n, p.Embeddings.Shape[0])
	}
}

// viewToken guesses the pixels of a token's side, to count the rows that end with a marker among
// the tokens.
func viewToken(p *layout.Plan) int {
	v := p.Views[0]
	for side := 8; side < 64; side++ {
		if rows, cols := v.H/side, v.W/side; rows*side == v.H && cols*side == v.W &&
			rows*(cols+1)-1 == v.Tokens {
			return side
		}
	}
	return 1 << 20
}
