package bench

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/imatrix"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

func TestAnImportanceMatrixIsLlamaImatrixs(t *testing.T) {
	peers.Require(t, "llama-imatrix")
	dir := t.TempDir()
	text, theirs := writeTo(t, dir, "text.txt", sampleText(t)), filepath.Join(dir, "theirs.gguf")
	const windows = 4
	ours, err := Imatrix(t.Context(), ImatrixOptions{Model: seedModel, Text: text, Windows: windows, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := peers.Command(t.Context(), "llama-imatrix", "-m", seedModel, "-f", text, "-o", theirs, "-c", "512", "--chunks", strconv.Itoa(windows), "-t", "2")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	peer, err := imatrix.Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if len(ours.Entries) != len(peer.Entries) || ours.Chunks != windows || ours.ChunkSize != peer.ChunkSize {
		t.Errorf("%d matrices, llama-imatrix saw %d", len(ours.Entries), len(peer.Entries))
	}
	a, b := ours.Weights(), peer.Weights()
	for name, want := range b {
		got := a[name]
		if len(got) != len(want) {
			t.Errorf("%s: %d columns, want %d", name, len(got), len(want))
			continue
		}
		var difference, norm float64
		for i := range want {
			difference += math.Pow(float64(got[i]-want[i]), 2)
			norm += math.Pow(float64(want[i]), 2)
		}
		if e := math.Sqrt(difference / norm); !(e < 0.01) {
			t.Errorf("%s: relative error %v", name, e)
		}
	}
}

func TestAnImportanceMatrixOfPicturesQuantizes(t *testing.T) {
	m, err := Imatrix(t.Context(), ImatrixOptions{Model: seedModel, Projector: seedProjector, Count: 10, Seed: 3, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Entries) != 6*7 || m.Chunks != 10 || m.Entries["blk.5.ffn_down.weight"].Counts[0] < 10*70 {
		t.Errorf("%d matrices of %d questions", len(m.Entries), m.Chunks)
	}
	path := filepath.Join(t.TempDir(), "imatrix.gguf")
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	weights, _, err := quantize.ReadImatrix(path, f)
	if err != nil {
		t.Fatal(err)
	}
	kind, err := llama.ParseFileType("Q2_K_S") // refused without a matrix
	if err != nil {
		t.Fatal(err)
	}
	if _, err := quantize.Language(t.Context(), f, path+".model", llama.QuantizeParams{Type: kind, AllowRequantize: true, Imatrix: weights}); err != nil {
		t.Error(err)
	}
}

func TestImportanceMatricesThatMakeNoSense(t *testing.T) {
	short := writeTo(t, t.TempDir(), "short.txt", "too short")
	for name, c := range map[string]struct {
		o    ImatrixOptions
		want error
	}{
		"over nothing":      {ImatrixOptions{Model: seedModel}, engine.ErrRequest},
		"over a short text": {ImatrixOptions{Model: seedModel, Text: short}, engine.ErrRequest},
		"of no model":       {ImatrixOptions{Model: "none.gguf", Text: short}, engine.ErrModelFile},
		"a missing text":    {ImatrixOptions{Model: seedModel, Text: "none.txt"}, os.ErrNotExist},
		"missing questions": {ImatrixOptions{Model: seedModel, Projector: seedProjector, Questions: "none"}, os.ErrNotExist},
	} {
		if _, err := Imatrix(t.Context(), c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
