package vision

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision/visiontest"
)

// goldens are the image tokens that transformers computed; see scripts/golden/vision.py.
type goldens struct {
	Cases []struct {
		Tower, Picture, Tokens string
		Shape                  [2]int
	}
	Real []realGolden
}

// realGolden holds some image tokens of visiontest's picture in a tower of visiontest.
type realGolden struct {
	Name   string
	Spec   visiontest.Spec
	Rows   []int // which of the image tokens
	Tokens string
	Shape  [2]int
}

func readGoldens(t testing.TB) *goldens {
	t.Helper()
	data, err := os.ReadFile("testdata/goldens.json")
	if err != nil {
		t.Fatal(err)
	}
	g := &goldens{}
	if err := json.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestImageTokensEqualTransformers(t *testing.T) {
	cases := readGoldens(t).Cases
	if len(cases) < 10 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, g := range cases {
		t.Run(g.Tokens, func(t *testing.T) {
			path := seedTower
			if g.Tower != "" {
				path = filepath.Join("testdata", g.Tower)
			}
			c := openTower(t, path, Options{})
			if info := c.Info(); info.TileTokens != g.Shape[0] || info.Width != g.Shape[1] {
				t.Fatalf("%d tokens of width %d, want %v", info.TileTokens, info.Width, g.Shape)
			}
			e := relativeError(encode(t, c, readPicture(t, g.Picture)), readFloats(t, g.Tokens))
			t.Logf("relative error %.1e", e)
			if !(e <= 1e-5) {
				t.Errorf("relative error %g, want at most 1e-5", e)
			}
			n := openNative(t, path, NativeOptions{Precision: nn.F32})
			e = relativeError(encode(t, n, readPicture(t, g.Picture)), readFloats(t, g.Tokens))
			t.Logf("native: relative error %.1e", e)
			if !(e <= 1e-5) {
				t.Errorf("native: relative error %g, want at most 1e-5", e)
			}
		})
	}
}

// What native towers must keep to on weights of real shape, compared with transformers in float32.
func TestNativeTowersOfRealShapeEqualTransformers(t *testing.T) {
	for _, g := range readGoldens(t).Real {
		t.Run(g.Name, func(t *testing.T) {
			if g.Spec.Blocks > 2 {
				slow(t)
			}
			path := syntheticTower(t, g.Spec, gguf.F16)
			for precision, b := range map[nn.Precision]struct {
				relative,
				cosine float64
			}{nn.F32: {1e-4, 0.99999}, nn.BF16: {5e-2, 0.999},
				nn.Int8: {5e-2, 0.999}, nn.Int16: {2e-2, 0.9999}} {
				n := openNative(t, path, NativeOptions{Precision: precision})
				tokens := encode(t, n, visiontest.Picture(g.Spec.ImageSize))
				e := g.relativeError(t, tokens, n.Info().Width)
				c := lowestCosine(g.rows(tokens), readFloats(t, g.Tokens), n.Info().Width)
				t.Logf("%v: relative error %.1e, lowest cosine %.6f", precision, e, c)
				if !(e <= b.relative) || !(c >= b.cosine) {
					t.Errorf("%v: relative error %g, lowest cosine %g; want at most %g, at least %g", precision, e, c, b.relative, b.cosine)
				}
				n.Close()
			}
		})
	}
}

func TestTowersOfRealShapeEqualTransformers(t *testing.T) {
	for _, g := range readGoldens(t).Real {
		for _, kind := range []gguf.Type{gguf.F16, gguf.F32} {
			t.Run(g.Name+" in "+kind.String(), func(t *testing.T) {
				if g.Spec.Blocks > 2 {
					slow(t)
				}
				c := openTower(t, syntheticTower(t, g.Spec, kind), Options{})
				e := g.relativeError(t, encode(t, c, visiontest.Picture(g.Spec.ImageSize)),
					c.Info().Width)
				t.Logf("relative error %.1e", e)
				if !(e <= 1e-5) {
					t.Errorf("relative error %g, want at most 1e-5", e)
				}
			})
		}
	}
}

// slow skips a test that takes minutes on the plain tower.
func slow(t testing.TB) {
	t.Helper()
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("takes minutes; set EYELET_SLOW=1, or run make test-slow")
	}
}

// syntheticTower writes a tower of visiontest's into a folder of the test's own.
func syntheticTower(t testing.TB, spec visiontest.Spec, kind gguf.Type) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mmproj.gguf")
	if err := spec.WriteFile(path, kind); err != nil {
		t.Fatal(err)
	}
	return path
}

// relativeError compares the golden's rows with those of a whole picture.
func (g *realGolden) relativeError(t testing.TB, tokens []float32, width int) float64 {
	t.Helper()
	if width != g.Shape[1] {
		t.Fatalf("image tokens %d wide, want %d", width, g.Shape[1])
	}
	return relativeError(g.rows(tokens), readFloats(t, g.Tokens))
}

// rows picks the golden's rows out of those of a whole picture.
func (g *realGolden) rows(tokens []float32) (picked []float32) {
	width := g.Shape[1]
	for _, r := range g.Rows {
		picked = append(picked, tokens[r*width:(r+1)*width]...)
	}
	return picked
}

func TestTheSpecsOfRealTowersAreTheGoldens(t *testing.T) {
	specs := map[string]visiontest.Spec{}
	for _, g := range readGoldens(t).Real {
		specs[g.Name] = g.Spec
	}
	for name, want := range map[string]visiontest.Spec{"vit-l-14-336": visiontest.ViTL336,
		"so400m-14-384": visiontest.So400M384} {
		if specs[name] != want {
			t.Errorf("%s: the golden is of %+v, visiontest has %+v", name, specs[name], want)
		}
	}
}
