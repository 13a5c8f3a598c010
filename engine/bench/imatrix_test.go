package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	ours, err := Imatrix(t.Context(), ImatrixOptions{Model: seedModel, Text: text, Windows: windows,
		Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := peers.Command(t.Context(), "llama-imatrix", "-m", seedModel, "-f", text, "-o",
		theirs, "-c", "512", "--chunks", strconv.Itoa(windows), "-t", "2")
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
	if len(ours.Entries) != len(peer.Entries) || ours.Chunks != windows ||
		ours.ChunkSize != peer.ChunkSize {
		t.Errorf("%d matrices, llama-imatrix saw %d", len(ours.Entries), len(peer.Entries))
	}
	compareStatistics(t, theirs, peer)
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
		difference, norm = 0, 0
		values, theirs := ours.Entries[name].Values, peer.Entries[name].Values
		for i := range theirs {
			difference += math.Pow(float64(values[i]-theirs[i]), 2)
			norm += math.Pow(float64(theirs[i]), 2)
		}
		if e := math.Sqrt(difference / norm); !(e < 0.02) {
			t.Errorf("%s: relative error of the inputs' sums %v", name, e)
		}
	}
}

// compareStatistics writes what was read from llama-imatrix's file again, and wants the sums and
// the figures that the program wrote itself.
func compareStatistics(t *testing.T, theirs string, m *imatrix.Matrix) {
	t.Helper()
	again := filepath.Join(t.TempDir(), "again.gguf")
	if err := m.WriteFile(again); err != nil {
		t.Fatal(err)
	}
	a, err := gguf.Open(again)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := gguf.Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	schema, _ := b.Strings("imatrix.stats_schema")
	if own, _ := a.Strings("imatrix.stats_schema"); !slices.Equal(own, schema) ||
		len(a.Tensors()) != len(b.Tensors()) {
		t.Errorf("%d tensors with %q, want %d with %q", len(a.Tensors()), own, len(b.Tensors()),
			schema)
	}
	figures := 0
	for _, want := range b.Tensors() {
		got, ok := a.Tensor(want.Name)
		if !ok || !slices.Equal(got.Dims, want.Dims) {
			t.Errorf("%s is missing, or of another shape", want.Name)
			continue
		}
		if !strings.HasSuffix(want.Name, ".stats") {
			if !bytes.Equal(got.Data(), want.Data()) {
				t.Errorf("%s changed", want.Name)
			}
			continue
		}
		for i := range schema {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(got.Data()[4*i:])))
			y := float64(math.Float32frombits(binary.LittleEndian.Uint32(want.Data()[4*i:])))
			if math.IsNaN(x) != math.IsNaN(y) || math.Abs(x-y) > 1e-5*max(1, math.Abs(y)) {
				t.Errorf("%s: %s is %v, want %v", want.Name, schema[i], x, y)
			}
			figures++
		}
	}
	if figures < 12*6*7 {
		t.Errorf("%d figures were compared", figures)
	}
}

func TestATowersImportanceMatrixCountsEachPatchOnce(t *testing.T) {
	m, err := TowerImatrix(t.Context(), TowerImatrixOptions{Projector: seedProjector, Count: 5,
		Seed: 3, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	q, k, out := m.Entries["v.blk.0.attn_q.weight"], m.Entries["v.blk.0.attn_k.weight"],
		m.Entries["v.blk.0.attn_out.weight"]
	if q == nil || k == nil || out == nil || m.Chunks < 4 {
		t.Fatalf("%d matrices of %d pictures", len(m.Entries), m.Chunks)
	}
	if !slices.Equal(q.Squares, k.Squares) || slices.Equal(q.Squares, out.Squares) {
		t.Error("queries and keys read the same rows, and the attention's output others")
	}
	for name, s := range m.Entries {
		if rows := int(s.Counts[0]); strings.HasPrefix(name, "v.blk.") &&
			(rows != int(q.Counts[0]) || rows%m.Chunks != 0 && m.Chunks == 5) {
			t.Errorf("%s saw %d rows of %d pictures, not %v", name, rows, m.Chunks, q.Counts[0])
		}
	}
	// The input of the first block's queries is a layer norm's output.
	var sum float64
	for _, x := range q.Squares {
		sum += float64(x) / float64(q.Counts[0])
	}
	if !(sum > 0) {
		t.Errorf("squares add up to %v", sum)
	}
	if _, err := TowerImatrix(t.Context(), TowerImatrixOptions{Projector: seedModel,
		Count: 1}); !errors.Is(err, engine.ErrModelFile) {
		t.Errorf("a language model: %v", err)
	}
}

func TestAnImportanceMatrixOfPicturesQuantizes(t *testing.T) {
	m, err := Imatrix(t.Context(), ImatrixOptions{Model: seedModel, Projector: seedProjector,
		Count: 10, Seed: 3, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Entries) != 6*7 || m.Chunks != 10 || m.Entries["blk.5.ffn_down.weight"].Counts[0] <
		10*70 {
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
	weights, _, err := quantize.ReadImatrix(path, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	kind, err := llama.ParseFileType("Q2_K_S") // refused without a matrix
	if err != nil {
		t.Fatal(err)
	}
	if _, err := quantize.Language(t.Context(), f, path+".model", llama.QuantizeParams{Type: kind,
		AllowRequantize: true, Imatrix: weights}); err != nil {
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
		"missing questions": {ImatrixOptions{Model: seedModel, Projector: seedProjector,
			Questions: "none"}, os.ErrNotExist},
	} {
		if _, err := Imatrix(t.Context(), c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
