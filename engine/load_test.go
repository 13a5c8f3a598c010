package engine

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/engine/tower"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

func TestFilesThatCannotBeLoaded(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	dir := t.TempDir()
	note := filepath.Join(dir, "note.txt")
	if err := os.WriteFile(note, []byte("this is no model at all, only some words"),
		0o644); err != nil {
		t.Fatal(err)
	}
	wide := wideProjector(t, dir)
	for name, c := range map[string]struct {
		model, projector string
		want             error
		says             []string
	}{
		"no model": {"", "", ErrModelFile, []string{"no model"}},
		"a missing model": {dir + "/none.gguf", "", ErrModelFile,
			[]string{"none.gguf"}},
		"a directory": {dir, "", ErrModelFile, []string{dir, "directory"}},
		"a text file": {note, "", ErrModelFile, []string{"note.txt"}},
		"a model cut in its header": {damaged(t, seedModel, 5000), "", ErrModelFile,
			[]string{"damaged.gguf"}},
		"a model cut in its tensors": {damaged(t, seedModel, 1000000), "", ErrModelFile,
			[]string{"damaged.gguf"}},
		"a projector as the model": {seedProjector, "", ErrModelFile,
			[]string{"give it as the projector"}},
		"a model as the projector": {seedModel, seedModel, ErrModelFile,
			[]string{"not a vision projector"}},
		"a missing projector": {seedModel, dir + "/none.gguf", ErrModelFile,
			[]string{"none.gguf"}},
		"a projector cut in its tensors": {seedModel, damaged(t, seedProjector, 1000000),
			ErrModelFile, []string{"damaged.gguf"}},
		"a projector of another width": {seedModel, wide, ErrMismatch,
			[]string{"512", "256", "wide.gguf"}},
	} {
		m, err := e.Load(context.Background(), ModelSpec{Model: c.model, Projector: c.projector})
		if err == nil {
			m.Close()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v, want it to say %q", name, err, s)
			}
		}
	}
}

// wideProjector copies the built-in projector with a last layer of twice the width.
func wideProjector(t *testing.T, dir string) string {
	t.Helper()
	return rewrite(t, seedProjector, filepath.Join(dir, "wide.gguf"), nil,
		func(name string, dims []uint64, data []byte) ([]uint64, []byte) {
			if strings.HasPrefix(name, "mm.2.") {
				dims = slices.Clone(dims)
				dims[len(dims)-1] *= 2
				data = append(slices.Clone(data), data...)
			}
			return dims, data
		})
}

// rewrite copies a GGUF file with other metadata and tensors.
func rewrite(t *testing.T, from, to string, set map[string]any,
	change func(name string, dims []uint64, data []byte) ([]uint64, []byte)) string {
	t.Helper()
	f, err := gguf.Open(from)
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
		dims, data := tensor.Dims, tensor.Data()
		if change != nil {
			dims, data = change(tensor.Name, dims, data)
		}
		w.AddTensor(tensor.Name, tensor.Type, dims, data)
	}
	if err := w.WriteFile(to); err != nil {
		t.Fatal(err)
	}
	return to
}

// A file can state numbers that its tensors do not bear out, over which libllama and libmtmd abort
// the process. What is asked here is only that this test lives to its end: some numbers do no harm.
func TestHostileMetadataDoesNotAbortTheProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and nothing in it is concurrent")
	}
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx := context.Background()
	good := open(t, textOnly)
	path := filepath.Join(t.TempDir(), "hostile.gguf")
	tried, refused := 0, 0
	for _, source := range []string{seedModel, seedProjector} {
		for key, values := range hostileValues(t, source) {
			for _, v := range values {
				rewrite(t, source, path, map[string]any{key: v}, nil)
				tried++
				spec := ModelSpec{Model: seedModel, Projector: path, Encoder: EncoderMtmd}
				_, bad := spec.Check()
				if source == seedProjector && bad == nil {
					if enc, _, err := tower.Open(ctx, &spec, tower.Host{Model: good.lm,
						Threads: e.threads}); err == nil {
						if in, err := vision.Preprocess(ctx, enc, imaging.NewRGB(30, 20)); err ==
							nil {
							_ = e.thread.Do(ctx, func() error {
								_, err := vision.EncodePart(ctx, enc, in, 0)
								return err
							})
							in.Close()
						}
						enc.Close()
					}
				}
				spec = ModelSpec{Model: path, Context: 64}
				if source == seedProjector {
					spec = ModelSpec{Model: seedModel, Projector: path, Context: 128}
				}
				m, err := e.Load(ctx, spec)
				if err != nil {
					refused++
					continue
				}
				_, _ = collect(ctx, m, Request{Prompt: "USER: hello", MaxTokens: 2})
				m.Close()
			}
		}
	}
	t.Logf("%d files, %d refusals", tried, refused)
	if refused < tried/4 {
		t.Error("too few are refused for a test of hostile files")
	}
}

// hostileValues are wrong numbers for each number in a file's metadata.
func hostileValues(t *testing.T, path string) map[string][]any {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]any{}
	for _, kv := range f.Keys() {
		switch kv.Value.Type() {
		case gguf.Uint32:
			out[kv.Key] = []any{uint32(0), uint32(7), uint32(1 << 31)}
		case gguf.Float32:
			out[kv.Key] = []any{float32(-1), float32(math.NaN())}
		}
	}
	return out
}

func TestLoadingCanBeCancelled(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithCancel(context.Background())
	_, err = e.Load(ctx, ModelSpec{Model: seedModel, Progress: func(f float64) {
		if f > 0 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestTwoTokensOfOneText are what libllama ends at: the error names them.
func TestTwoTokensOfOneText(t *testing.T) {
	raw, err := os.ReadFile(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	star := []byte("\x07\x00\x00\x00\x00\x00\x00\x00▁star")
	pink := bytes.Replace(star, []byte("star"), []byte("pink"), 1)
	if bytes.Count(raw, star) != 1 || bytes.Count(raw, pink) != 1 {
		t.Fatal("the built-in model's vocabulary is another")
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, bytes.Replace(raw, star, pink, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for what, err := range map[string]error{
		"the check": modelspec.CheckFile(path),
		"the load": func() error {
			_, err := e.Load(t.Context(), ModelSpec{Model: path})
			return err
		}(),
	} {
		if !errors.Is(err, ErrModelFile) || !strings.Contains(err.Error(), `are both "▁pink"`) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestOptionsOfAModel(t *testing.T) {
	for _, cache := range []string{"f32", "f16", "bf16", "q8_0", "q4_0"} {
		m := open(t, func(s *ModelSpec) { s.CacheType, s.Context = cache, 512 })
		a := mustAsk(t, m, Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
			Text("What color is the background?"))}})
		if strings.TrimSpace(a.text) != "cyan" || m.Info().Context != 512 {
			t.Errorf("cache %s: %q, %+v", cache, a.text, m.Info())
		}
	}
	for name, change := range map[string]func(*ModelSpec){
		"an unknown cache type":               func(s *ModelSpec) { s.CacheType = "q9" },
		"a negative context":                  func(s *ModelSpec) { s.Context = -1 },
		"a chat template that does not parse": func(s *ModelSpec) { s.ChatTemplate = "{% if %}" },
	} {
		e, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		spec := ModelSpec{Model: seedModel}
		change(&spec)
		if _, err := e.Load(context.Background(), spec); err == nil {
			t.Errorf("%s: no error", name)
		}
		e.Close()
	}
}
