package llama_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/models/gguf"
	llama "github.com/go-skynet/go-llama.cpp"
)

func TestCallback(t *testing.T) {
	l := open(t)
	whole := tokensOf(t, l, question, greedy(20)...)
	for _, stop := range []int{1, 2, 7} {
		n := 0
		got := predict(t, l, question, greedy(20, llama.SetTokenCallback(func(string) bool {
			n++
			return n < stop
		}))...)
		if n != stop || got != strings.TrimPrefix(strings.Join(whole[:stop-1], ""), "\n") {
			t.Errorf("stopped at token %d after %d calls: %q of %q", stop, n, got, whole)
		}
	}
	var seen []string
	l.SetTokenCallback(func(token string) bool {
		seen = append(seen, token)
		if len(seen) == 3 {
			l.SetTokenCallback(nil) // while a prediction runs
		}
		return true
	})
	predict(t, l, question, greedy(20)...)
	if len(seen) != 3 {
		t.Errorf("the registered callback was called %d times", len(seen))
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = l.Predict(question, greedy(20, llama.SetTokenCallback(func(string) bool {
			panic("the program's")
		}))...)
	}()
	predict(t, l, question, greedy(3)...)
}

func TestAfterFree(t *testing.T) {
	l := open(t, llama.EnableEmbeddings)
	other := open(t)
	l.Free()
	l.Free()
	l.SetTokenCallback(func(string) bool { return true })
	_, err := l.Predict("x")
	check := func(name string, err error) {
		if !errors.Is(err, llama.ErrFreed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("Predict", err)
	check("Eval", l.Eval("x"))
	check("SaveState", l.SaveState("x"))
	check("LoadState", l.LoadState("x"))
	_, err = l.Embeddings("x")
	check("Embeddings", err)
	_, err = l.TokenEmbeddings([]int{1})
	check("TokenEmbeddings", err)
	_, _, err = l.TokenizeString("x")
	check("TokenizeString", err)
	_, err = l.SpeculativeSampling(other, "x")
	check("SpeculativeSampling", err)
	_, err = other.SpeculativeSampling(l, "x")
	check("SpeculativeSampling with it", err)
	for _, none := range []*llama.LLama{nil, {}} {
		none.Free()
		none.SetTokenCallback(nil)
		if _, err := none.Predict("x"); err == nil {
			t.Error("a model that New did not make predicts")
		}
	}
}

func TestFreeEndsPredictions(t *testing.T) {
	l := open(t)
	began, failed := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		_, err := l.Predict(question, llama.SetTokens(0), llama.IgnoreEOS,
			llama.SetTokenCallback(func(string) bool {
				once.Do(func() { close(began) })
				return true
			}))
		failed <- err
	}()
	<-began
	l.Free()
	if err := <-failed; !errors.Is(err, llama.ErrFreed) {
		t.Errorf("the prediction ended with %v", err)
	}
	l = open(t)
	_, err := l.Predict(question, llama.IgnoreEOS, llama.SetTokens(0),
		llama.SetTokenCallback(func(string) bool { l.Free(); return true }))
	if !errors.Is(err, llama.ErrFreed) {
		t.Errorf("freed by its callback, it ended with %v", err)
	}
}

func TestTwoModelsAndManyPredictionsAtOnce(t *testing.T) {
	a, b := open(t, llama.SetContext(1024)), open(t, llama.SetContext(1024),
		llama.WithRopeFreqBase(500))
	wantA, wantB := predict(t, a, question, greedy(20)...), predict(t, b, question, greedy(20)...)
	var wg sync.WaitGroup
	for range 3 {
		for l, want := range map[*llama.LLama]string{a: wantA, b: wantB} {
			wg.Go(func() {
				if got, err := l.Predict(question, greedy(20)...); err != nil || len(got) == 0 ||
					strings.Split(got, " ")[0] != strings.Split(want, " ")[0] {
					t.Errorf("%q, %v; alone %q", got, err, want)
				}
			})
		}
	}
	wg.Wait()
}

// resident is the memory of the process that is in use, in bytes.
func resident(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc here")
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestNothingIsLeft opens and frees a model again and again. EYELET_SLOW=1 makes that 200 times.
func TestNothingIsLeft(t *testing.T) {
	cycles := 20
	if os.Getenv("EYELET_SLOW") != "" {
		cycles = 200
	}
	if testing.Short() {
		t.Attr("reduced", "few cycles")
		cycles = 3
	}
	cycle := func() {
		l, err := llama.New(builtin, llama.SetContext(256), llama.EnableEmbeddings,
			llama.SetMMap(false))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Predict(question, greedy(4)...); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Embeddings("x"); err != nil {
			t.Fatal(err)
		}
		l.Free()
	}
	for range 5 {
		cycle()
	}
	before := resident(t)
	for range cycles {
		cycle()
	}
	// A model left open would be 6 MB each time, its context as much again.
	if grown := resident(t) - before; grown > 24<<20 {
		t.Errorf("%d cycles leave %d bytes", cycles, grown)
	}
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	text := "USER: What can you do? Please tell me in many words and leave nothing out at all.\nASSISTANT:"
	a := open(t)
	wantError(t, a.SaveState(state), "nothing was computed")
	if err := a.Eval(text); err != nil {
		t.Fatal(err)
	}
	if err := a.SaveState(state); err != nil {
		t.Fatal(err)
	}
	want := predict(t, a, text, greedy(12)...)
	b := open(t)
	if err := b.LoadState(state); err != nil {
		t.Fatal(err)
	}
	if got := predict(t, b, text, greedy(12)...); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for name, l := range map[string]*llama.LLama{"cells of another type": open(t,
		llama.EnableF16Memory), "another model": open(t, llama.WithRopeFreqBase(500))} {
		if l.LoadState(state) == nil {
			t.Errorf("%s: it was loaded", name)
		}
	}
	for _, bad := range []string{"nonesuch", dir, builtin} {
		if b.LoadState(bad) == nil {
			t.Errorf("%s was loaded", bad)
		}
	}
}

func TestPromptCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prompt.cache")
	text := "USER: What can you do? Please tell me in many words and leave nothing out at all.\nASSISTANT:"
	contents := func() string {
		b, err := os.ReadFile(file)
		if err != nil {
			return ""
		}
		return string(b)
	}
	cached := llama.SetPathPromptCache(file)
	l := open(t)
	want := predict(t, l, text, greedy(12)...)
	predict(t, l, text, greedy(12, cached, llama.EnablePromptCacheRO)...)
	if contents() != "" {
		t.Error("a cache that is only read was written")
	}
	if got := predict(t, l, text, greedy(12, cached)...); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	first := contents()
	l = open(t) // another process
	if got := predict(t, l, text, greedy(12, cached)...); got != want || contents() != first {
		t.Errorf("%q, want %q; written again: %v", got, want, contents() != first)
	}
	// Without a text, it goes on from what the file holds.
	if got := predict(t, l, "", greedy(12, cached)...); got != want {
		t.Errorf("without a text %q, want %q", got, want)
	}
	predict(t, l, text, greedy(12, cached, llama.EnablePromptCacheAll)...)
	if len(contents()) <= len(first) {
		t.Error("the answer is not in the cache")
	}
	if last, held, err := llama.Tokens(l, file); err != nil || last != held {
		t.Errorf("%d tokens of prompt and answer, the cache holds %d, %v", last, held, err)
	}
	if got := predict(t, l, "", greedy(4, cached)...); got == "" {
		t.Error("nothing follows the answer")
	}
	if err := os.WriteFile(file, []byte("no cache"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := l.Predict(text, cached)
	wantError(t, err, file)
}

func TestSpeculativeSampling(t *testing.T) {
	l, draft := open(t, llama.SetPerplexity(true)), open(t)
	want := predict(t, l, question, greedy(40)...)
	for _, n := range []int{0, 1, 16} {
		calls := 0
		opts := greedy(40, llama.SetNDraft(n), llama.SetTokenCallback(func(string) bool {
			calls++
			return true
		}))
		if got, err := l.SpeculativeSampling(draft, question, opts...); err != nil || got != want ||
			calls != 40 {
			t.Errorf("%d guesses: %q after %d calls, %v; want %q", n, got, calls, err, want)
		}
	}
	draft.Free()
	if got := predict(t, l, question, greedy(40)...); got != want {
		t.Errorf("%q once the draft model is gone", got)
	}
}

func TestFilesOf2023(t *testing.T) {
	for name, head := range map[string]string{
		"format ggml": "lmgg", "format ggmf v1": "fmgg\x01\x00\x00\x00",
		"format ggjt v1": "tjgg\x01\x00\x00\x00", "format ggjt v2": "tjgg\x02\x00\x00\x00",
		"format ggjt v3": "tjgg\x03\x00\x00\x00", "GGUF version 1": "GGUF\x01\x00\x00\x00",
		"format ggla": "algg\x01\x00\x00\x00",
	} {
		path := filepath.Join(t.TempDir(), "ggml-model-q4_0.bin")
		if err := os.WriteFile(path, append([]byte(head), make([]byte, 2000)...),
			0o600); err != nil {
			t.Fatal(err)
		}
		_, err := llama.New(path)
		wantError(t, err, name)
		wantError(t, err, "convert")
		wantError(t, err, path)
		_, err = llama.New(builtin, llama.SetLoraAdapter(path))
		wantError(t, err, name)
	}
	if l, err := llama.New("not-existing"); err == nil || l != nil {
		t.Errorf("%v, %v", l, err)
	}
}

// FuzzNew opens files that are no models.
func FuzzNew(f *testing.F) {
	for _, head := range []string{"", "GGUF", "GGUF\x03\x00\x00\x00", "tjgg\x03\x00\x00\x00",
		"lmgg\x00", "algg\x01\x00\x00\x00"} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "model")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := llama.New(path); err == nil {
			l.Free()
		}
	})
}

// adapterFile writes a LoRA adapter for the built-in model.
func adapterFile(t *testing.T) string {
	t.Helper()
	const rank, width = 4, 256
	w := gguf.NewWriter("llama")
	w.Set("general.type", "adapter")
	w.Set("adapter.type", "lora")
	w.Set("adapter.lora.alpha", float32(8))
	wave := func(n int) []byte {
		var b bytes.Buffer
		for i := range n {
			_ = binary.Write(&b, binary.LittleEndian, float32(math.Sin(float64(i))))
		}
		return b.Bytes()
	}
	w.AddTensor("blk.3.attn_output.weight.lora_a", gguf.F32, []uint64{width, rank},
		wave(width*rank))
	w.AddTensor("blk.3.attn_output.weight.lora_b", gguf.F32, []uint64{rank, width},
		wave(rank*width))
	path := filepath.Join(t.TempDir(), fmt.Sprintf("lora-%d.gguf", rank))
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}
