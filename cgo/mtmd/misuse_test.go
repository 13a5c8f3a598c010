package mtmd

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

func TestNewRefusesMisuse(t *testing.T) {
	model := openModel(t)
	closed, err := llama.LoadModel(t.Context(), seedModel, llama.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	vocab, err := llama.LoadModel(t.Context(), seedModel, llama.ModelParams{VocabOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer vocab.Close()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(seedMmproj)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name   string
		ctx    context.Context
		path   string
		model  *llama.Model
		params Params
		want   string
	}{
		{name: "no model", path: seedMmproj, want: "nil Model"},
		{name: "a closed model", path: seedMmproj, model: closed, want: "closed"},
		{name: "a vocabulary without a model", path: seedMmproj, model: vocab, want: "vocabulary"},
		{name: "no such file", path: dir + "/none.gguf", model: model, want: "no such file"},
		{name: "a folder", path: dir, model: model, want: "is a directory"},
		{name: "an empty file", path: write("empty.gguf", nil), model: model, want: "not a GGUF"},
		{name: "another kind of file", path: write("text.gguf", []byte("hello there")),
			model: model, want: "not a GGUF"},
		{name: "a header alone", path: write("head.gguf", whole[:64]), model: model,
			want: "head.gguf"},
		{name: "a truncated file", path: write("half.gguf", whole[:len(whole)/2]), model: model,
			want: "half.gguf"},
		{name: "a language model for a projector", path: seedModel, model: model,
			want: "eyelet-builtin"},
		{name: "a path with a NUL", path: "a\x00b", model: model, want: "NUL"},
		{name: "a marker with a NUL", path: seedMmproj, model: model,
			params: Params{Marker: "a\x00"}, want: "NUL"},
		{name: "negative threads", path: seedMmproj, model: model, params: Params{Threads: -1},
			want: "Threads"},
		{name: "more threads than ggml takes", path: seedMmproj, model: model,
			params: Params{Threads: 513}, want: "Threads"},
		{name: "bounds of tokens the wrong way round", path: seedMmproj, model: model,
			params: Params{ImageMinTokens: 9, ImageMaxTokens: 8}, want: "ImageMinTokens"},
		{name: "an unknown flash attention", path: seedMmproj, model: model,
			params: Params{FlashAttn: 3}, want: "FlashAttn"},
		{name: "a device of nowhere", path: seedMmproj, model: model,
			params: Params{Device: &ggml.Device{}}, want: "Device"},
		{name: "a context that is done", ctx: cancelled, path: seedMmproj, model: model,
			want: "canceled"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx := test.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			m, err := New(ctx, test.path, test.model, test.params)
			if err == nil {
				m.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

// TestWidthsThatDoNotFit gives the model a projector whose last matrix, 256×256, is declared to be
// 128×512.
func TestWidthsThatDoNotFit(t *testing.T) {
	data, err := os.ReadFile(seedMmproj)
	if err != nil {
		t.Fatal(err)
	}
	// A tensor's entry in a GGUF file: name, number of dimensions, dimensions.
	fits := append([]byte("mm.2.weight"), 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
		0)
	wide := append([]byte("mm.2.weight"), 2, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0,
		0)
	if bytes.Count(data, fits) != 1 {
		t.Fatal("the projector's matrix is not where it was")
	}
	path := filepath.Join(t.TempDir(), "wide.gguf")
	if err := os.WriteFile(path, bytes.Replace(data, fits, wide, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := New(t.Context(), path, openModel(t), Params{})
	if err == nil {
		m.Close()
		t.Fatal("no error")
	}
	for _, want := range []string{"wide.gguf", "mismatch", "256", "512"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestBitmapsAreChecked(t *testing.T) {
	nan := float32(math.NaN())
	sound := func(n int, last float32) []float32 { return append(make([]float32, n-1), last) }
	tests := []struct {
		name string
		make func() (Bitmap, error)
		want string // "": fine
	}{
		{"one pixel", func() (Bitmap, error) { return Image("", 1, 1, make([]byte, 3)) }, ""},
		{"no width", func() (Bitmap, error) { return Image("", 0, 5, nil) }, "0×5"},
		{"a negative height", func() (Bitmap, error) { return Image("", 5, -5, nil) }, "5×-5"},
		{"too few bytes", func() (Bitmap, error) {
			return Image("", 2, 2, make([]byte, 11))
		}, "12 bytes, not 11"},
		{"four channels", func() (Bitmap, error) {
			return Image("", 2, 2, make([]byte, 16))
		}, "12 bytes, not 16"},
		{"a side too long", func() (Bitmap, error) {
			return Image("", 1<<17, 1<<10, nil)
		}, "too large"},
		{"too many pixels", func() (Bitmap, error) {
			return Image("", 1<<16, 1<<16, nil)
		}, "too large"},
		{"a size that overflows", func() (Bitmap, error) {
			return Image("", math.MaxInt, math.MaxInt, nil)
		}, "too large"},
		{"a sliver", func() (Bitmap, error) {
			return Image("", 301, 1, make([]byte, 903))
		}, "300 times"},
		{"an id with a NUL", func() (Bitmap, error) {
			return Image("a\x00", 1, 1, make([]byte, 3))
		}, "NUL"},
		{"a sound", func() (Bitmap, error) { return Audio("", sound(400, 0.5)) }, ""},
		{"no sound", func() (Bitmap, error) { return Audio("", nil) }, "0 samples"},
		{"a click", func() (Bitmap, error) { return Audio("", sound(399, 0)) }, "shorter than 400"},
		{"a sample that is not a number", func() (Bitmap, error) {
			return Audio("", sound(400, nan))
		}, "sample 399"},
		{"an infinite sample", func() (Bitmap, error) {
			return Audio("", sound(400, float32(math.Inf(-1))))
		}, "sample 399"},
		{"a sound whose id has a NUL", func() (Bitmap, error) {
			return Audio("\x00", sound(400, 0))
		}, "NUL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.make()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(),
				test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestTokenizeRefusesMisuse(t *testing.T) {
	m := open(t, Params{})
	picture := gradient(t, "", 8, 8)
	sound, err := Audio("", make([]float32, 16000))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		text    string
		bitmaps []Bitmap
		want    error // nil: any
	}{
		{"a marker without a bitmap", "a " + m.Marker(), nil, ErrMarkers},
		{"a bitmap without a marker", "a", []Bitmap{picture}, ErrMarkers},
		{"two markers for one bitmap", m.Marker() + m.Marker(), []Bitmap{picture}, ErrMarkers},
		{"a sound for a vision tower", m.Marker(), []Bitmap{sound}, ErrUnsupported},
		{"a zero bitmap", m.Marker(), []Bitmap{{}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cs, err := m.Tokenize(test.text, test.bitmaps, true, true)
			if err == nil {
				cs.Close()
				t.Fatal("no error")
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestEncodeRefusesMisuse(t *testing.T) {
	m, other := open(t, Params{}), open(t, Params{})
	cs := tokenize(t, m, "a"+m.Marker(), gradient(t, "", 8, 8))
	closed := tokenize(t, m, m.Marker(), gradient(t, "", 8, 8))
	closedImage := imageChunk(t, closed)
	if err := errors.Join(closed.Close(), closed.Close()); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		m     *Context
		chunk *Chunk
	}{
		{"no chunk", m, nil},
		{"a chunk made by hand", m, &Chunk{Kind: ImageChunk, NTokens: 64}},
		{"a chunk of text", m, cs.List()[0]},
		{"a chunk of another context", other, imageChunk(t, cs)},
		{"a chunk that is closed", m, closedImage},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.m.EncodeChunk(t.Context(), test.chunk); err == nil {
				t.Error("no error")
			}
		})
	}
	for _, c := range []*Chunk{closedImage, {Kind: ImageChunk, NTokens: 64}} {
		if _, err := c.Positions(0); !errors.Is(err, ErrClosed) {
			t.Errorf("Positions: %v, want ErrClosed", err)
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	m := open(t, Params{})
	cs := tokenize(t, m, m.Marker(), gradient(t, "", 8, 8))
	c := imageChunk(t, cs)
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Tokenize("a", nil, true, true); !errors.Is(err, ErrClosed) {
		t.Errorf("Tokenize: %v, want ErrClosed", err)
	}
	if _, err := m.EncodeChunk(t.Context(), c); !errors.Is(err, ErrClosed) {
		t.Errorf("EncodeChunk: %v, want ErrClosed", err)
	}
	if _, err := c.Positions(0); err != nil {
		t.Errorf("the chunks do not outlive their context: %v", err)
	}
	if m.NEmbd() != 256 || m.Marker() == "" || !m.Capabilities().Vision {
		t.Error("what does not need the library is gone")
	}
}

func TestAModelStaysOpenForItsProjector(t *testing.T) {
	model, err := llama.LoadModel(t.Context(), seedModel, llama.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(t.Context(), seedMmproj, model, Params{})
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Close(); !errors.Is(err, llama.ErrInUse) {
		t.Errorf("with its projector open: %v, want ErrInUse", err)
	}
	if _, err := m.Tokenize("a", nil, true, true); err != nil {
		t.Error(err)
	}
	for range 2 { // the second time it must not let go of the model again
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := New(t.Context(), t.TempDir(), model, Params{}); err == nil {
		t.Error("a folder passes as a projector")
	}
	if err := model.Close(); err != nil {
		t.Errorf("after its projector: %v", err)
	}
	if _, err := New(t.Context(), seedMmproj, model, Params{}); !errors.Is(err, ErrModelClosed) {
		t.Errorf("of a closed model: %v, want ErrModelClosed", err)
	}
}
