package quantize

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/imatrix"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
	"github.com/eyelet-engine/eyelet/models/vision/visiontest"
)

const (
	seedModel     = "../builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../builtin/mmproj-eyelet-builtin-q8_0.gguf"
)

func TestMain(m *testing.M) {
	runtime.LockOSThread() // libgomp keeps a team of workers for each thread that computes
	if err := ggml.Load(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func openFile(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// small is a CLIP tower whose rows fit the blocks of all types; odd a SigLIP tower whose rows fit
// few.
func small(t testing.TB) *gguf.File {
	return synthetic(t, visiontest.Spec{Family: "clip", ImageSize: 56, PatchSize: 14, Hidden: 256,
		FF: 512, Heads: 4, Blocks: 3, Width: 256, Activation: "quick_gelu"})
}

func odd(t testing.TB) *gguf.File {
	return synthetic(t, visiontest.Spec{Family: "siglip", ImageSize: 56, PatchSize: 14, Hidden: 96,
		FF: 200, Heads: 4, Blocks: 2, Width: 64, Activation: "gelu"})
}

func synthetic(t testing.TB, s visiontest.Spec) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mmproj-f16.gguf")
	if err := s.WriteFile(path, gguf.F16); err != nil {
		t.Fatal(err)
	}
	return openFile(t, path)
}

func picture() *imaging.RGB {
	img := imaging.NewRGB(90, 70)
	for y := range img.H {
		for x := range img.W {
			i := 3 * (y*img.W + x)
			img.Pix[i], img.Pix[i+1], img.Pix[i+2] = byte(x*255/img.W), byte(y*255/img.H),
				byte(128+100*math.Sin(float64(x*y)/90))
		}
	}
	return img
}

func plan(t testing.TB, f *gguf.File, o Options) *Plan {
	t.Helper()
	p, err := PlanProjector(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRowsAreGgmlsOwn(t *testing.T) {
	f := small(t)
	for _, typ := range ProjectorTypes {
		p := plan(t, f, Options{Type: typ, Pure: true})
		out, err := p.Memory(context.Background(), 3)
		if err != nil {
			t.Fatal(err)
		}
		quantized := 0
		for i, after := range out.Tensors() {
			before, _ := f.Tensor(after.Name)
			if after.Type != p.Tensors[i].To || after.Elements() != before.Elements() {
				t.Errorf("%v: %s is %v", typ, after.Name, after.Type)
			}
			values := make([]float32, before.Elements())
			if err := ggml.Dequantize(ggml.Type(before.Type), before.Data(), values); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, after.Size())
			if err := ggml.Quantize(ggml.Type(after.Type), values, int(before.Dims[0]), nil,
				want); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(after.Data(), want) {
				t.Errorf("%v: the bytes of %s are not ggml's", typ, after.Name)
			}
			if after.Type == typ && len(after.Dims) == 2 {
				quantized++
			}
		}
		if quantized < 3*6+2 {
			t.Errorf("%v: %d matrices", typ, quantized)
		}
	}
}

// cosines are the lowest mean cosine of image tokens that a type may have on the synthetic tower
// and on the built-in one.
var cosines = map[gguf.Type][2]float64{
	gguf.F32: {0.9999999, 0.9999999}, gguf.F16: {0.9999999, 0.999999}, gguf.BF16: {0.99998, 0.9999},
	gguf.Q8_0: {0.9999, 0.999}, gguf.Q6_K: {0.999, 0.99}, gguf.Q5_1: {0.998, 0.98},
	gguf.Q5_0: {0.998, 0.97}, gguf.Q5_K: {0.998, 0.98}, gguf.Q4_1: {0.99, 0.9},
	gguf.Q4_0: {0.99, 0.9}, gguf.IQ4_NL: {0.99, 0.9}, gguf.Q4_K: {0.99, 0.9},
	gguf.Q3_K: {0.96, 0.8}, gguf.Q2_K: {0.85, 0.6},
}

func TestEachTypeKeepsImageTokensWithinItsError(t *testing.T) {
	for k, f := range []*gguf.File{small(t), openFile(t, seedProjector)} {
		m, err := NewMeter(t.Context(), f, []*imaging.RGB{picture()}, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range ProjectorTypes {
			d, err := m.Measure(t.Context(), plan(t, f, Options{Type: typ}))
			if err != nil {
				t.Errorf("%v: %v", typ, err)
				continue
			}
			t.Logf("%v: mean cosine %.6f, relative error %.4f", typ, d.MeanCosine, d.Relative)
			if d.MeanCosine < cosines[typ][k] {
				t.Errorf("tower %d, %v: mean cosine %v", k, typ, d.MeanCosine)
			}
		}
	}
}

func TestLibmtmdOpensWhatIsWritten(t *testing.T) {
	for k, f := range []*gguf.File{small(t), odd(t)} {
		var reference, ours []float32
		var whole int64
		for _, typ := range []gguf.Type{gguf.F16, gguf.Q8_0, gguf.Q4_0, gguf.Q5_1, gguf.Q4_K,
			gguf.BF16} {
			p, err := PlanProjector(f, Options{Type: typ})
			if errors.Is(err, ErrShape) && typ == gguf.Q4_K {
				continue // no row of the odd tower fits
			}
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "mmproj.gguf")
			r, err := p.Write(t.Context(), path, WriteOptions{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || r.Bytes != info.Size() ||
				len(r.SHA256) != 64 {
				t.Errorf("%+v, %v", r, err)
			}
			rows, native := encodeBoth(t, path)
			if reference == nil {
				reference, ours, whole = rows, native, r.Bytes
				continue
			}
			width := int(f.Tensors()[len(f.Tensors())-1].Dims[0])
			theirs, own := vision.Compare(rows, reference, width), vision.Compare(native, ours,
				width)
			t.Logf("%v: libmtmd %.6f, native %.6f", typ, theirs.MeanCosine, own.MeanCosine)
			// libmtmd rounds activations to 8 bits before a product with quantized weights; native
			// does not.
			if 1-theirs.MeanCosine > 2*(1-own.MeanCosine)+1e-4 ||
				own.MeanCosine < cosines[typ][0]-0.006 {
				t.Errorf("%v: libmtmd %v, native %v", typ, theirs.MeanCosine, own.MeanCosine)
			}
			if typ == gguf.Q8_0 && (theirs.MeanCosine < 0.999 || own.MeanCosine < 0.999) {
				t.Errorf("8 bits: libmtmd %v, native %v", theirs.MeanCosine, own.MeanCosine)
			}
			// The rows of the odd tower's ffn_down fit no block, and stay in 16 bits; embeddings do
			// in both.
			if share := float64(r.Bytes) / float64(whole); typ == gguf.Q8_0 &&
				share > []float64{0.6, 0.75}[k] {
				t.Errorf("8 bits take %.2f of 16", share)
			}
		}
	}
}

// encodeBoth encodes a picture with libmtmd and with the native tower.
func encodeBoth(t *testing.T, path string) (mtmd, native []float32) {
	t.Helper()
	theirs, err := libmtmd.Open(t.Context(), path, libmtmd.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	ours, err := vision.OpenNative(path, vision.NativeOptions{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	var rows [2][]float32
	for i, e := range []vision.Encoder{theirs, ours} {
		in, err := vision.Preprocess(t.Context(), e, picture())
		if err != nil {
			t.Fatal(err)
		}
		if rows[i], err = vision.Encode(t.Context(), e, in); err != nil {
			t.Fatal(err)
		}
		e.Close()
	}
	return rows[0], rows[1]
}

func TestTheRuleKeepsWhatIsSensitive(t *testing.T) {
	f := small(t)
	for _, p := range plan(t, f, Options{Type: gguf.Q4_0}).Tensors {
		before, _ := f.Tensor(p.Name)
		want := before.Type
		switch {
		case strings.HasPrefix(p.Name, "mm.") && strings.HasSuffix(p.Name, ".weight"):
			want = gguf.Q8_0
		case isBlockMatrix(before):
			want = gguf.Q4_0
		}
		if p.To != want {
			t.Errorf("%s becomes %v, want %v", p.Name, p.To, want)
		}
	}
	for _, p := range plan(t, odd(t), Options{Type: gguf.Q5_0}).Tensors {
		if strings.HasSuffix(p.Name, "ffn_down.weight") && (p.To != gguf.F16 || !p.Fallback) {
			t.Errorf("%+v", p)
		}
	}
	q8 := plan(t, f, Options{Type: gguf.Q8_0})
	if ratio := float64(q8.Bytes()) / float64(plan(t, f, Options{Type: gguf.F16}).Bytes()); ratio <
		0.5 || ratio > 0.6 {
		t.Errorf("Q8_0 is %.3f of F16", ratio)
	}
}

func TestWhatCannotBeQuantizedIsRefused(t *testing.T) {
	f := small(t)
	override := func(pattern string, typ gguf.Type) []Override {
		return []Override{{regexp.MustCompile(pattern), typ}}
	}
	for name, c := range map[string]struct {
		f    *gguf.File
		o    Options
		want error
	}{
		"a language model": {openFile(t, seedModel), Options{Type: gguf.Q8_0},
			vision.ErrUnknownTower},
		"a type of activations":   {f, Options{Type: gguf.Q8_K}, ErrOptions},
		"blocks longer than rows": {odd(t), Options{Type: gguf.Q4_K}, ErrShape},
		"an override that fits not": {odd(t), Options{Type: gguf.Q8_0,
			Tensors: override("ffn_down", gguf.Q8_0)}, ErrShape},
		"a quantized norm": {f, Options{Type: gguf.Q8_0, Tensors: override("ln1.weight",
			gguf.Q8_0)}, ErrShape},
		"a quantized convolution": {f, Options{Type: gguf.Q8_0, Tensors: override("position",
			gguf.Q8_0)}, ErrShape},
		"an override of a bad type": {f, Options{Type: gguf.Q8_0, Tensors: override("attn_q",
			gguf.I8)}, ErrOptions},
		"an override of nothing": {f, Options{Type: gguf.Q8_0, Tensors: override("nonesuch",
			gguf.F16)}, ErrOptions},
		"a quantized class position": {f, Options{Type: gguf.Q8_0, Tensors: override("class_embd",
			gguf.F16)}, ErrShape},
	} {
		if _, err := PlanProjector(c.f, c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseType("q9_9"); !errors.Is(err, ErrOptions) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := plan(t, f, Options{Type: gguf.Q8_0}).Write(ctx, filepath.Join(dir, "x.gguf"),
		WriteOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if err := CheckSpace(filepath.Join(dir, "x"), 1<<60); err == nil {
		t.Error("an exabyte fits")
	}
}

func TestSearchKeepsItsGoal(t *testing.T) {
	f := small(t)
	m, err := NewMeter(t.Context(), f, []*imaging.RGB{picture()}, 2)
	if err != nil {
		t.Fatal(err)
	}
	uniform := map[gguf.Type]vision.Difference{}
	for _, typ := range []gguf.Type{gguf.Q8_0, gguf.Q5_0} {
		if uniform[typ], err = m.Measure(t.Context(),
			plan(t, f, Options{Type: typ, Pure: true})); err != nil {
			t.Fatal(err)
		}
	}
	limit := (uniform[gguf.Q8_0].Relative + uniform[gguf.Q5_0].Relative) / 2
	p, d, err := Search(t.Context(), f, m, SearchOptions{Goal: Goal{MaxError: limit}, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	q8 := plan(t, f, Options{Type: gguf.Q8_0, Pure: true})
	if d.Relative > limit || p.Bytes() >= q8.Bytes() {
		t.Errorf("error %v of %v, %d bytes; Q8_0 has %d", d.Relative, limit, p.Bytes(), q8.Bytes())
	}
	target := plan(t, f, Options{Type: gguf.Q5_0, Pure: true}).Bytes() + 10_000
	p, d, err = Search(t.Context(), f, m, SearchOptions{Goal: Goal{TargetSize: target + 20_000},
		Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	if p.Bytes() > target+20_000 || d.Relative > 1.05*uniform[gguf.Q5_0].Relative {
		t.Errorf("%d bytes of %d, error %v; Q5_0 everywhere has %v", p.Bytes(), target, d.Relative,
			uniform[gguf.Q5_0].Relative)
	}
	for name, goal := range map[string]Goal{"no goal": {}, "both": {MaxError: 0.1, TargetSize: 1},
		"nonsense": {MaxError: 2}, "nothing": {TargetSize: 1000}} {
		if _, _, err := Search(t.Context(), f, m, SearchOptions{Goal: goal}); !errors.Is(err,
			ErrOptions) && !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALanguageModelIsPlannedAndWritten(t *testing.T) {
	f := openFile(t, seedModel)
	q4, err := llama.ParseFileType("Q4_K_M")
	if err != nil {
		t.Fatal(err)
	}
	p := llama.QuantizeParams{Type: q4, AllowRequantize: true, Threads: 2}
	plan, err := PlanLanguage(t.Context(), f, p)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "q4.gguf")
	r, err := Language(t.Context(), f, out, p)
	if err != nil {
		t.Fatal(err)
	}
	if over := r.Bytes - plan.Bytes(); over < 0 || over > 64<<10 {
		t.Errorf("%d bytes, planned %d", r.Bytes, plan.Bytes())
	}
	p.AllowRequantize = false
	if _, err := Language(t.Context(), f, out+"2", p); !errors.Is(err, ErrOptions) ||
		!strings.Contains(err.Error(), "allow to quantize it again") {
		t.Errorf("a quantized source: %v", err)
	}
}

func TestAnImportanceMatrixMustBelongToTheModel(t *testing.T) {
	f := openFile(t, seedModel)
	path := filepath.Join(t.TempDir(), "imatrix.gguf")
	for name, c := range map[string]struct {
		tensor  string
		columns int
		rows    float32
		ok      bool
	}{
		"its own":                {"blk.0.attn_q.weight", 256, 1, true},
		"rows of another length": {"blk.0.attn_q.weight", 128, 1, false},
		"another model":          {"blk.99.attn_q.weight", 256, 1, false},
		"a mean that overflows":  {"blk.0.attn_q.weight", 256, 1e-44, false},
	} {
		m := &imatrix.Matrix{Entries: map[string]*imatrix.Sums{c.tensor: {Squares: slices.Repeat(
			[]float32{3}, c.columns), Counts: []float32{c.rows}}}}
		if err := m.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		_, _, err := ReadImatrix(path, f, nil)
		if (err == nil) != c.ok || err != nil && !errors.Is(err,
			imatrix.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A stack takes values for each of its matrices, and a tensor without dimensions one.
	w := gguf.NewWriter("llama")
	w.AddTensor("stack", gguf.F32, []uint64{2, 3, 2}, make([]byte, 48))
	w.AddTensor("number", gguf.F32, nil, make([]byte, 4))
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if f, err = gguf.Parse(data, "made up"); err != nil {
		t.Fatal(err)
	}
	for tensor, values := range map[string]int{"stack": 4, "number": 1} {
		for _, n := range []int{values, 2 * values} {
			m := &imatrix.Matrix{Entries: map[string]*imatrix.Sums{tensor: {Squares: make([]float32,
				n), Counts: []float32{1}}}}
			if err := m.WriteFile(path); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ReadImatrix(path, f, nil); (err == nil) != (n == values) {
				t.Errorf("%d values for %s: %v", n, tensor, err)
			}
		}
	}
}
