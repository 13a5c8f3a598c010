package vision

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
)

// described are the families of the bench of truth whose towers run here.
func described(t testing.TB) (list []*layouttest.Golden) {
	t.Helper()
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if _, err := Describe(projectorOf(t, g)); errors.Is(err, ErrUnknownTower) {
			continue // libmtmd runs it
		}
		list = append(list, g)
	}
	if len(list) < 9 {
		t.Fatalf("%d of %d families are described", len(list), len(all))
	}
	return list
}

func projectorOf(t testing.TB, g *layouttest.Golden) *gguf.File {
	t.Helper()
	_, data, err := g.Files()
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(data, g.Name+".gguf")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// bounds are the largest relative error of a row and the lowest cosine against transformers in
// float32.
var bounds = map[nn.Precision]struct{ relative, cosine float64 }{nn.F32: {1e-4, 0.9999999},
	nn.BF16:  {5e-2, 0.999},
	nn.Int8:  {0.2, 0.98}, // with activations of 7 bits, as without AVX2
	nn.Int16: {3e-2, 0.9995}}

// The tower's own part of [engine.TestFamiliesAreAsInTransformers], in all precisions.
// EYELET_SLOW=1 takes the large pictures too.
func TestFamiliesAreEncodedAsInTransformers(t *testing.T) {
	peers.WithoutRaceDetector(t)
	most := 100_000
	if os.Getenv("EYELET_SLOW") != "" {
		most = 1 << 24
	}
	for _, g := range described(t) {
		file := projectorOf(t, g)
		for precision, bound := range bounds {
			t.Run(fmt.Sprintf("%s/%v", g.Name, precision), func(t *testing.T) {
				n, err := LoadNative(file, NativeOptions{Precision: precision})
				if err != nil {
					t.Fatal(err)
				}
				defer n.Close()
				done := 0
				for _, p := range g.Pictures {
					if p.Refused != "" {
						if _, err := Preprocess(t.Context(), n, layouttest.Scene(p.W, p.H)); err ==
							nil {
							t.Errorf("%d x %d is taken; transformers: %s", p.W, p.H, p.Refused)
						}
						continue
					}
					if p.Embeddings == nil || p.W*p.H > most ||
						done == 2 && os.Getenv("EYELET_SLOW") == "" {
						continue
					}
					done++
					in := preprocess(t, n, layouttest.Scene(p.W, p.H))
					if !slices.EqualFunc(in.Tiles, p.Tiles,
						func(v *imaging.RGB, tile layouttest.Tile) bool {
							return fmt.Sprintf("%x", sha256.Sum256(v.Pix)) == tile.SHA256
						}) {
						t.Errorf("%d x %d: other pixels", p.W, p.H)
					}
					rows, err := Encode(t.Context(), n, in)
					if err != nil {
						t.Fatal(err)
					}
					relative, cosine := worstRow(rows, n.Info().Width, p)
					t.Logf("%d x %d: relative error %.2g, cosine %.6f", p.W, p.H, relative, cosine)
					if !(relative <= bound.relative) || !(cosine >= bound.cosine) {
						t.Errorf("%d x %d: relative error of a row %g, cosine %g; want at most %g, at least %g", p.W, p.H, relative, cosine, bound.relative, bound.cosine)
					}
				}
			})
		}
	}
}

// Large towers are computed in many steps: parts of blocks and of projectors, of which some read
// states between blocks.
func TestFamiliesAreTheSameInManySteps(t *testing.T) {
	peers.WithoutRaceDetector(t)
	for _, g := range described(t) {
		t.Run(g.Name, func(t *testing.T) {
			n, err := LoadNative(projectorOf(t, g), NativeOptions{Precision: nn.F32, Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			encode := func() (rows []float32, steps int) {
				in := preprocess(t, n, layouttest.Scene(320, 240))
				job, err := n.Begin(in, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer job.Close()
				if _, steps = job.Progress(); job.Advance(t.Context(), steps) != nil {
					t.Fatal("the job does not end")
				}
				rows, err = job.Rows()
				if err != nil {
					t.Fatal(err)
				}
				return slices.Clone(rows), steps
			}
			want, few := encode()
			n.stepLimit = 2e5
			got, many := encode()
			if many <= 2*few {
				t.Errorf("%d steps, and %d of a smaller size", few, many)
			}
			if len(got) != len(want) {
				t.Fatalf("%d numbers, want %d", len(got), len(want))
			}
			if d := Compare(got, want, n.Info().Width); d.Relative > 1e-5 {
				t.Errorf("in %d steps: %+v", many, d)
			}
		})
	}
}

// worstRow compares rows with those that a golden holds. Where there are more rows, the ends of a
// picture's rows stand between.
func worstRow(rows []float32, width int, p layouttest.Picture) (relative, cosine float64) {
	n, shape := len(rows)/width, p.Embeddings.Shape
	cols := math.MaxInt
	if n > shape[0] {
		cols = shape[0] / (n + 1 - shape[0])
	}
	if n < shape[0] || n > shape[0] && (cols == 0 || shape[0]/cols*(cols+1)-1 != n) {
		return math.Inf(1), -1
	}
	cosine = 1
	for key, want := range p.Embeddings.Rows {
		i, _ := strconv.Atoi(key)
		got := rows[(i+i/cols)*width:][:shape[1]]
		var off, gg, ww, dot float64
		for j, x := range want {
			g, w := float64(got[j]), float64(x)
			off, gg, ww, dot = off+(g-w)*(g-w), gg+g*g, ww+w*w, dot+g*w
		}
		relative, cosine = max(relative, math.Sqrt(off/ww)), min(cosine, dot/math.Sqrt(gg*ww))
	}
	return relative, cosine
}

// encodeSmall encodes a picture of a token or a few more, where the family's layout lets it be one.
func encodeSmall(t testing.TB, n *Native) {
	t.Helper()
	side := n.d.PatchSize * n.d.Merge
	in := &Input{Tokens: n.d.tokensOf(2*side, 3*side),
		Tiles: []*imaging.RGB{imaging.NewRGB(2*side, 3*side)}}
	rows, err := Encode(t.Context(), n, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != in.Tokens*n.Info().Width {
		t.Fatalf("%d numbers for %d tokens of %d", len(rows), in.Tokens, n.Info().Width)
	}
}

// Projector files of every family with one number or tensor changed are an error, or a tower that
// encodes.
func TestHostileFilesOfFamiliesAreErrors(t *testing.T) {
	peers.WithoutRaceDetector(t)
	for _, g := range described(t) {
		if os.Getenv("EYELET_SLOW") == "" && g.Name != "qwen2-5-vl" && g.Name != "mistral3" {
			continue
		}
		t.Run(g.Name, func(t *testing.T) {
			file := projectorOf(t, g)
			tried, refused := 0, 0
			try := func(keys map[string]any, tensors map[string]*tensor) {
				tried++
				n, err := LoadNative(editedFile(t, file, keys, tensors),
					NativeOptions{Precision: nn.F32, Threads: 2})
				if err != nil {
					refused++
					return
				}
				defer n.Close()
				if n.d.PatchSize*n.d.Merge <= 128 && n.d.AnySize {
					encodeSmall(t, n)
				}
			}
			for _, kv := range file.Keys() {
				for _, v := range []any{nil, uint32(0), uint32(1), uint32(7), uint32(1 << 31),
					float32(math.NaN()), "x", []bool{true, true, true, true, true}, []int32{-1}} {
					if kv.Key != "general.architecture" {
						try(map[string]any{kv.Key: v}, nil)
					}
				}
			}
			for _, old := range file.Tensors() {
				if strings.Contains(old.Name, ".blk.") && !strings.Contains(old.Name, ".blk.1.") {
					continue
				}
				try(nil, map[string]*tensor{old.Name: nil})
				try(nil, map[string]*tensor{old.Name: {t: old.Type, dims: []uint64{old.Elements()},
					data: old.Data()}})
				turned := slices.Clone(old.Dims)
				slices.Reverse(turned)
				try(nil, map[string]*tensor{old.Name: {t: old.Type, dims: turned,
					data: old.Data()}})
				if old.Type == gguf.F32 {
					try(nil, map[string]*tensor{old.Name: floats(int(old.Elements()),
						float32(math.Inf(1)), 1)})
				}
			}
			t.Logf("%d files, %d refusals", tried, refused)
			if refused < tried/2 {
				t.Error("too few are refused for a test of hostile files")
			}
		})
	}
}
