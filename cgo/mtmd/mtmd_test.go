package mtmd

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

const (
	seedModel  = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	seedMmproj = "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
)

func openModel(t testing.TB) *llama.Model {
	t.Helper()
	model, err := llama.LoadModel(context.Background(), seedModel, llama.ModelParams{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := model.Close(); err != nil {
			t.Error(err)
		}
	})
	return model
}

// open locks the test to its thread, as EncodeChunk wants.
func open(t testing.TB, params Params) *Context {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	m, err := New(context.Background(), seedMmproj, openModel(t), params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// gradient is a picture that differs from place to place.
func gradient(t testing.TB, id string, w, h int) Bitmap {
	t.Helper()
	rgb := make([]byte, 0, 3*w*h)
	for y := range h {
		for x := range w {
			rgb = append(rgb, byte(255*x/w), byte(255*y/h), byte(x*y))
		}
	}
	b, err := Image(id, w, h, rgb)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tokenize(t testing.TB, m *Context, text string, bitmaps ...Bitmap) *Chunks {
	t.Helper()
	cs, err := m.Tokenize(text, bitmaps, true, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cs.Close(); err != nil {
			t.Error(err)
		}
	})
	return cs
}

func imageChunk(t testing.TB, cs *Chunks) *Chunk {
	t.Helper()
	i := slices.IndexFunc(cs.List(), func(c *Chunk) bool { return c.Kind == ImageChunk })
	if i < 0 {
		t.Fatal("no picture among the chunks")
	}
	return cs.List()[i]
}

func TestSeedProjectorTakesPicturesAlone(t *testing.T) {
	m := open(t, Params{})
	if got, want := m.Capabilities(), (Capabilities{Vision: true}); got != want {
		t.Errorf("capabilities %+v, want %+v", got, want)
	}
	if m.NEmbd() != 256 {
		t.Errorf("width %d, want 256", m.NEmbd())
	}
	if m.Marker() != "<__media__>" {
		t.Errorf("marker %q", m.Marker())
	}
}

func TestTokenizeCutsTextAroundPictures(t *testing.T) {
	m := open(t, Params{})
	cs := tokenize(t, m, "USER: "+m.Marker()+" and "+m.Marker()+" What?",
		gradient(t, "one", 64, 48), gradient(t, "two", 30, 50))
	var kinds, ids []string
	tokens, pos := 0, 0
	for _, c := range cs.List() {
		kinds, ids = append(kinds, c.Kind.String()), append(ids, c.ID)
		tokens, pos = tokens+c.NTokens, pos+c.NPos
		if c.Kind == Text && len(c.Tokens) != c.NTokens {
			t.Errorf("%d tokens, NTokens %d", len(c.Tokens), c.NTokens)
		}
		if c.Kind == ImageChunk && (c.NTokens != 64 || c.NPos != 64 || c.Tokens != nil ||
			c.NonCausal) {
			t.Errorf("picture chunk %+v", c)
		}
	}
	if want := []string{"text", "image", "text", "image", "text"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %q, want %q", kinds, want)
	}
	if want := []string{"", "one", "", "two", ""}; !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q", ids, want)
	}
	if cs.NTokens() != tokens || cs.NPos() != pos {
		t.Errorf("NTokens %d, NPos %d; want %d, %d", cs.NTokens(), cs.NPos(), tokens, pos)
	}
}

func TestTextTokensAreTheVocabularys(t *testing.T) {
	m := open(t, Params{})
	const text = "USER: what colour is it? ASSISTANT:"
	cs := tokenize(t, m, text)
	want, err := m.model.Vocab().Tokenize(text, true, true)
	if err != nil {
		t.Fatal(err)
	}
	if list := cs.List(); len(list) != 1 || !slices.Equal(list[0].Tokens, want) {
		t.Errorf("chunks %+v, want one with %v", list, want)
	}
}

func TestPositionsOfAPictureWithoutMRoPECountItsTokens(t *testing.T) {
	m := open(t, Params{})
	cs := tokenize(t, m, "a"+m.Marker(), gradient(t, "", 64, 64))
	for _, c := range cs.List() {
		got, err := c.Positions(7)
		if err != nil || len(got) != c.NTokens {
			t.Fatalf("%d positions, %v", len(got), err)
		}
		for i, p := range got {
			if want := llama.Pos(7 + i); p[0] != want || p[1] != want || p[2] != want {
				t.Fatalf("%v %d is at %v", c.Kind, i, p)
			}
		}
	}
	for _, pos0 := range []llama.Pos{-1, math.MaxInt32} {
		if _, err := imageChunk(t, cs).Positions(pos0); err == nil {
			t.Errorf("position %d passes", pos0)
		}
	}
}

func TestEncodeGivesFiniteDistinctRows(t *testing.T) {
	m := open(t, Params{})
	cs := tokenize(t, m, m.Marker()+m.Marker(), gradient(t, "", 64, 64), gradient(t, "", 20, 64))
	var rows [][]float32
	for _, c := range cs.List() {
		if c.Kind != ImageChunk {
			continue
		}
		x, err := m.EncodeChunk(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if len(x) != c.NTokens*m.NEmbd() {
			t.Fatalf("%d values, want %d", len(x), c.NTokens*m.NEmbd())
		}
		var norm float64
		for _, v := range x {
			norm += float64(v) * float64(v)
		}
		if !(norm > 0) || math.IsInf(norm, 0) {
			t.Errorf("norm %v", norm)
		}
		again, err := m.EncodeChunk(t.Context(), c)
		if err != nil || !slices.Equal(x, again) {
			t.Errorf("the same picture again is different (%v)", err)
		}
		rows = append(rows, x)
	}
	if slices.Equal(rows[0], rows[1]) {
		t.Error("two pictures have the same embeddings")
	}
}

func TestPiecesDoNotChangeTheResult(t *testing.T) {
	picture := gradient(t, "", 64, 64)
	encode := func(params Params) []float32 {
		m := open(t, params)
		x, err := m.EncodeChunk(t.Context(), imageChunk(t, tokenize(t, m, m.Marker(), picture)))
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	whole := encode(Params{PieceNodes: 1 << 20})
	m := open(t, Params{PieceNodes: 1})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := m.Begin(t.Context(), imageChunk(t, tokenize(t, m, m.Marker(), picture)))
	if err != nil {
		t.Fatal(err)
	}
	pauses := 0
	for done := false; !done; pauses++ {
		if e.Rows() != nil {
			t.Fatal("rows before the end")
		}
		if done, err = e.Advance(0); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(whole, e.Rows()) {
		t.Error("node by node the result is another one")
	}
	if pauses < 20 {
		t.Errorf("it paused %d times", pauses)
	}
	if done, err := e.Advance(0); !done || err != nil {
		t.Errorf("after the end: %v, %v", done, err)
	}
}

func TestOneEncodingAtATimeUnlessItIsLeft(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := open(t, Params{PieceNodes: 1})
	cs := tokenize(t, m, m.Marker(), gradient(t, "", 64, 64))
	c := imageChunk(t, cs)
	first, err := m.Begin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := first.Advance(0); done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	if _, err := m.EncodeChunk(t.Context(), c); err == nil {
		t.Error("a second encoding in the middle of the first")
	}
	first.Leave()
	if err := cs.Close(); err != nil { // the encoding still reads it
		t.Error(err)
	}
	other := imageChunk(t, tokenize(t, m, m.Marker(), gradient(t, "", 64, 64)))
	if _, err := open(t, Params{}).EncodeChunk(t.Context(), other); err == nil {
		t.Error("a chunk of another Context was encoded")
	}
	if x, err := m.EncodeChunk(t.Context(), other); err != nil || len(x) == 0 {
		t.Errorf("after one was left: %d values, %v", len(x), err)
	}
	if done, err := first.Advance(0); !done || !errors.Is(err, context.Canceled) ||
		first.Rows() != nil {
		t.Errorf("the one that was left: %v, %v", done, err)
	}
	last, err := m.Begin(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = last.Advance(0)
	if err := m.Close(); err != nil { // in the middle
		t.Error(err)
	}
	if done, err := last.Advance(0); !done || err == nil {
		t.Errorf("after Close: %v, %v", done, err)
	}
	if _, err := m.Begin(t.Context(), other); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCancelledContextStopsAnEncode(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancel(t.Context())
	m := open(t, Params{PieceNodes: 1})
	c := imageChunk(t, tokenize(t, m, m.Marker(), gradient(t, "", 64, 64)))
	e, err := m.Begin(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if done, err := e.Advance(0); done || err != nil {
			t.Fatalf("%v, %v", done, err)
		}
	}
	cancel()
	if done, err := e.Advance(0); !done || !errors.Is(err, context.Canceled) || e.Rows() != nil {
		t.Errorf("%v, %v; want context.Canceled", done, err)
	}
	if _, err := m.EncodeChunk(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
	if _, err := m.EncodeChunk(t.Context(), c); err != nil {
		t.Errorf("after a cancel: %v", err)
	}
}

func TestMarkerAndDeviceCanBeChosen(t *testing.T) {
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	cpu := ggml.Devices()[slices.IndexFunc(ggml.Devices(), func(d ggml.Device) bool {
		return d.Type == ggml.CPU
	})]
	var last float64
	m := open(t, Params{Marker: "<<picture>>", Device: &cpu, NoGPU: true, Threads: 1, Warmup: true,
		FlashAttn: llama.FlashOff, Progress: func(f float64) { last = f }})
	cs := tokenize(t, m, "a <<picture>> b <__media__>", gradient(t, "", 64, 64))
	if len(cs.List()) != 3 {
		t.Errorf("%d chunks, want 3", len(cs.List()))
	}
	if last != 1 {
		t.Errorf("progress ended at %v", last)
	}
}

func TestLoadIsStoppedByItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := New(ctx, seedMmproj, openModel(t), Params{Progress: func(float64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestOddTextsAreTokenized(t *testing.T) {
	m := open(t, Params{})
	for _, text := range []string{"", " ", "\x00", "a\x00b", "\xff\xfe", "<s></s>",
		strings.Repeat("word ", 5000)} {
		cs, err := m.Tokenize(text, nil, false, false)
		if err != nil {
			t.Errorf("%.20q: %v", text, err)
			continue
		}
		want, err := m.model.Vocab().Tokenize(text, false, false)
		if err != nil {
			t.Fatal(err)
		}
		var got []llama.Token
		for _, c := range cs.List() {
			got = append(got, c.Tokens...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.20q: %d tokens, want %d", text, len(got), len(want))
		}
		cs.Close()
	}
}

func TestPicturesOfExtremeShapeAreEncoded(t *testing.T) {
	m := open(t, Params{})
	for _, size := range [][2]int{{1, 1}, {1, 200}, {200, 1}, {2000, 10}, {3, 3}} {
		c := imageChunk(t, tokenize(t, m, m.Marker(), gradient(t, "", size[0], size[1])))
		if _, err := m.EncodeChunk(t.Context(), c); err != nil {
			t.Errorf("%v: %v", size, err)
		}
	}
}

func TestConcurrentTokenizeAndClose(t *testing.T) {
	m := open(t, Params{})
	picture := gradient(t, "", 16, 16)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				cs, err := m.Tokenize(m.Marker(), []Bitmap{picture}, true, true)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				cs.Close()
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func BenchmarkEncode(b *testing.B) {
	for name, piece := range map[string]int{"whole": 1 << 20, "pieces": 0} {
		b.Run(name, func(b *testing.B) {
			m := open(b, Params{PieceNodes: piece})
			c := imageChunk(b, tokenize(b, m, m.Marker(), gradient(b, "", 64, 64)))
			for b.Loop() {
				if _, err := m.EncodeChunk(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The header says that mtmd_tokenize is thread-safe: pictures are prepared while another one is
// encoded.
func TestTokenizeDoesNotWaitForAnEncode(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := open(t, Params{Threads: 1, PieceNodes: 1})
	e, err := m.Begin(t.Context(),
		imageChunk(t, tokenize(t, m, m.Marker(), gradient(t, "", 20, 30))))
	if err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		made := make(chan int, 1)
		go func() {
			cs, err := m.Tokenize(m.Marker(), []Bitmap{gradient(t, "", 30, 20)}, false, true)
			if err != nil {
				t.Error(err)
				made <- 0
				return
			}
			defer cs.Close()
			made <- cs.NTokens()
		}()
		if done, err = e.Advance(0); err != nil {
			t.Fatal(err)
		}
		if n := <-made; n != 64 {
			t.Fatalf("%d tokens were made meanwhile", n)
		}
	}
}

func TestABlankTellsTheTokensOfAPictureOfItsSize(t *testing.T) {
	m := open(t, Params{})
	for _, size := range [][2]int{{112, 112}, {7, 300}, {4000, 3000}} {
		blank, err := Blank(size[0], size[1])
		if err != nil {
			t.Fatal(err)
		}
		of, whole := tokenize(t, m, m.Marker(), blank), tokenize(t, m, m.Marker(),
			gradient(t, "", size[0], size[1]))
		if of.NTokens() != whole.NTokens() || of.NPos() != whole.NPos() {
			t.Errorf("%v: %d tokens and %d positions without pixels, %d and %d with", size,
				of.NTokens(), of.NPos(), whole.NTokens(), whole.NPos())
		}
		if _, err := m.EncodeChunk(t.Context(), imageChunk(t, of)); err == nil {
			t.Error("a picture without pixels is encoded")
		}
	}
	if _, err := Blank(0, 5); err == nil {
		t.Error("a blank of no pixels")
	}
}
