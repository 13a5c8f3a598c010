package libmtmd

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

const (
	seedModel     = "../../builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../../builtin/mmproj-eyelet-builtin-q8_0.gguf"
	demoPicture   = "../../builtin/demo/orange-circle.png"
)

func open(t testing.TB, path string, opt Options) *Encoder {
	t.Helper()
	e, err := Open(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func readPicture(t testing.TB, path string) *imaging.RGB {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := imaging.Decode(data, imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func encode(t testing.TB, e vision.Encoder, img *imaging.RGB) []float32 {
	t.Helper()
	in, err := vision.Preprocess(t.Context(), e, img)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows, err := vision.Encode(t.Context(), e, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != in.Tokens*e.Info().Width {
		t.Fatalf("%d numbers for %d tokens of %d", len(rows), in.Tokens, e.Info().Width)
	}
	return rows
}

// lowestCosine is that of the row least like its counterpart.
func lowestCosine(t testing.TB, a, b []float32, width int) float64 {
	t.Helper()
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d numbers and %d", len(a), len(b))
	}
	lowest := 1.0
	for i := 0; i < len(a); i += width {
		var dot, aa, bb float64
		for k := i; k < i+width; k++ {
			x, y := float64(a[k]), float64(b[k])
			dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
		}
		lowest = min(lowest, dot/math.Sqrt(aa*bb))
	}
	return lowest
}

func TestRowsAreThoseOfThePlainTowerInLibmtmdsLayout(t *testing.T) {
	e := open(t, seedProjector, Options{Threads: 1})
	plain, err := vision.OpenPlain(seedProjector, vision.Options{Layout: vision.LibmtmdFault})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	img := readPicture(t, demoPicture)
	// libmtmd rounds activations to 8 bits, 32 with one scale: those beside the places of patches,
	// which are large, lose most.
	if c := lowestCosine(t, encode(t, e, img), encode(t, plain, img), e.Info().Width); c < 0.998 {
		t.Errorf("the lowest cosine is %v", c)
	}
}

func TestAStandInMakesTheRowsOfTheRealModel(t *testing.T) {
	model, err := llama.LoadModel(t.Context(), seedModel, llama.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	img := readPicture(t, demoPicture)
	func() {
		beside, err := Open(t.Context(), seedProjector, Options{Threads: 1, Model: model})
		if err != nil {
			t.Fatal(err)
		}
		defer beside.Close()
		standIn := open(t, seedProjector, Options{Threads: 1})
		if !slices.Equal(encode(t, beside, img), encode(t, standIn, img)) {
			t.Error("other rows beside a stand-in")
		}
		if beside.Info() != standIn.Info() {
			t.Errorf("%+v beside the model, %+v beside a stand-in", beside.Info(), standIn.Info())
		}
	}()
	if _, err := model.Vocab().Tokenize("still open", false, false); err != nil {
		t.Errorf("the caller's model after the close of the encoder: %v", err)
	}
}

func TestInfoDescribesTheTower(t *testing.T) {
	info := open(t, seedProjector, Options{}).Info()
	identity := info.Identity
	info.Identity = ""
	want := vision.Info{
		Family: "clip", Projector: "mlp", Backend: "mtmd", Precision: "q8_0", ImageSize: 112,
		PatchSize: 14, TileTokens: 64, Blocks: 6,
		Hidden: 256, Width: 256,
		Caution: "libmtmd computes this tower with wrong positions; the native encoder computes it as it was trained",
	}
	if info != want {
		t.Errorf("%+v\nwant %+v", info, want)
	}
	if !strings.HasPrefix(identity, "mtmd mlp ") || len(identity) != len("mtmd mlp ")+64 {
		t.Errorf("identity %q", identity)
	}
}

// A projector whose file says a wrong width is loaded with the one that libmtmd names.
func TestTheWidthIsFoundWhereTheFileHidesIt(t *testing.T) {
	path := rewrite(t, map[string]any{"clip.vision.projection_dim": uint32(768)}, nil)
	c, model, err := openBesideStandIn(t.Context(), path, 768, mtmd.Params{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	defer c.Close()
	if c.NEmbd() != 256 {
		t.Errorf("rows of %d", c.NEmbd())
	}
}

func TestAJobAdvancesAStretchAtATime(t *testing.T) {
	e := open(t, seedProjector, Options{Threads: 1})
	img := readPicture(t, demoPicture)
	one, err := vision.Preprocess(t.Context(), e, img)
	if err != nil {
		t.Fatal(err)
	}
	job, err := e.Begin(&vision.Input{Tokens: 2 * one.Tokens, Tiles: []*imaging.RGB{img, img}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	done, all := job.Progress()
	if done != 0 || all < 2 {
		t.Errorf("%d of %d steps", done, all)
	}
	if err := job.Advance(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Rows(); !errors.Is(err, errUnfinished) {
		t.Errorf("rows of half a job: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := job.Advance(stopped, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
	if err := job.Advance(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if done, total := job.Progress(); done != total || done < 4 {
		t.Errorf("%d of %d steps at the end", done, total)
	}
	rows, err := job.Rows()
	if err != nil {
		t.Fatal(err)
	}
	half := len(rows) / 2
	if want := encode(t, e, img); !slices.Equal(rows[:half], want) || !slices.Equal(rows[half:],
		want) {
		t.Error("two pictures in one job give other rows than each alone")
	}
	job.Close()
	if err := job.Advance(t.Context(), 1); !errors.Is(err, errJobClosed) {
		t.Errorf("advance of a closed job: %v", err)
	}
}

func TestACancelledEncodeCanBeRepeated(t *testing.T) {
	e := open(t, seedProjector, Options{Threads: 1})
	in, err := vision.Preprocess(t.Context(), e, readPicture(t, demoPicture))
	if err != nil {
		t.Fatal(err)
	}
	job, err := e.Begin(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Microsecond)
	defer cancel()
	if err := job.Advance(ctx, 1); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := job.Advance(t.Context(), unknownSteps); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Rows(); err != nil {
		t.Error(err)
	}
}

func TestTokensAreForetold(t *testing.T) {
	e := open(t, seedProjector, Options{})
	for _, size := range [][2]int{{112, 112}, {2, 2}, {640, 480}, {50, 2000}} {
		in, err := vision.Preprocess(t.Context(), e, imaging.NewRGB(size[0], size[1]))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := e.Plan(size[0], size[1]); err != nil || p.Tokens() != in.Tokens ||
			in.Tokens != 64 {
			t.Errorf("%v: %+v foretold (%v), %d tokens made", size, p, err, in.Tokens)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, size := range [][2]int{{0, 5}, {-1, -1}, {1, 1}, {1 << 30, 1 << 30}, {math.MaxInt, 2},
		{5000, 1}} {
		if p, err := e.Plan(size[0], size[1]); err == nil {
			t.Errorf("%v: %+v", size, p)
		}
	}
}

func TestInputsThatAreNotItsOwnAreRefused(t *testing.T) {
	e := open(t, seedProjector, Options{})
	for name, in := range map[string]*vision.Input{
		"nothing":            {},
		"a misshapen tile":   {Tokens: 64, Tiles: []*imaging.RGB{{W: 5, H: 5}}},
		"another count":      {Tokens: 65, Tiles: []*imaging.RGB{imaging.NewRGB(9, 9)}},
		"an impossible tile": {Tokens: 64, Tiles: []*imaging.RGB{imaging.NewRGB(5000, 1)}},
	} {
		if job, err := e.Begin(in, 0); err == nil {
			job.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAClosedEncoderSaysSo(t *testing.T) {
	e := open(t, seedProjector, Options{Threads: 1})
	in, err := vision.Preprocess(t.Context(), e, readPicture(t, demoPicture))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	done, err := e.Begin(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer done.Close()
	if err := done.Advance(t.Context(), unknownSteps); err != nil {
		t.Fatal(err)
	}
	begun, err := e.Begin(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer begun.Close()
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Begin(in, 0); !errors.Is(err, errClosed) {
		t.Errorf("Begin: %v", err)
	}
	if err := begun.Advance(t.Context(), 1); !errors.Is(err, errClosed) {
		t.Errorf("Advance: %v", err)
	}
	if _, err := done.Rows(); err != nil {
		t.Errorf("rows that were done: %v", err)
	}
}

func TestFilesThatHoldNoTowerAreErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(text, []byte("no tower, only some words"), 0o644); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(seedProjector)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.gguf")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, text, cut, filepath.Join(dir, "none.gguf"), seedModel} {
		e, err := Open(t.Context(), path, Options{})
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, seedProjector, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
}

// libmtmd aborts the process over some of these files. What is asked here is that the test lives to
// its end.
func TestHostileNumbersAreErrorsOrHarmless(t *testing.T) {
	f, err := gguf.Open(seedProjector)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img := readPicture(t, demoPicture)
	tried, refused := 0, 0
	try := func(path string) {
		tried++
		e, err := Open(t.Context(), path, Options{Threads: 1})
		if err != nil {
			refused++
			return
		}
		defer e.Close()
		if in, err := vision.Preprocess(t.Context(), e, img); err == nil {
			defer in.Close()
			_, _ = vision.Encode(t.Context(), e, in)
		}
	}
	for _, kv := range f.Keys() {
		var values []any
		switch kv.Value.Type() {
		case gguf.Uint32:
			values = []any{uint32(0), uint32(7), uint32(1 << 31)}
		case gguf.Float32:
			values = []any{float32(-1), float32(math.NaN())}
		}
		for _, v := range values {
			try(rewrite(t, map[string]any{kv.Key: v}, nil))
		}
	}
	for _, tensor := range f.Tensors() {
		if !strings.HasPrefix(tensor.Name, "v.blk.") || strings.HasPrefix(tensor.Name, "v.blk.3.") {
			try(rewrite(t, nil, func(name string) bool { return name == tensor.Name }))
		}
	}
	if refused < tried/4 {
		t.Errorf("%d of %d hostile files are refused", refused, tried)
	}
}

// rewrite copies the built-in projector with other metadata and without some tensors.
func rewrite(t testing.TB, set map[string]any, drop func(name string) bool) string {
	t.Helper()
	f, err := gguf.Open(seedProjector)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gguf.NewWriter(f.Architecture())
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	for key, value := range set {
		w.Set(key, value)
	}
	for _, tensor := range f.Tensors() {
		if drop == nil || !drop(tensor.Name) {
			w.AddTensor(tensor.Name, tensor.Type, tensor.Dims, tensor.Data())
		}
	}
	path := filepath.Join(t.TempDir(), "rewritten.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}
