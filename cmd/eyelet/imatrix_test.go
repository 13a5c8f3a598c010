package main

import (
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
)

func TestImatrixFeedsQuantize(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	out, model := filepath.Join(dir, "imatrix.gguf"), filepath.Join(dir, "q2.gguf")
	o := eyelet(t, "imatrix", seedModel, "-o", out, "-p", seedProjector, "--count", "5", "--json")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	var r models.ImatrixReport
	strictly(t, o.stdout, &r)
	if r.Matrices != 42 || r.Chunks != 5 || r.Out != out || len(r.Datasets) != 1 {
		t.Errorf("%+v", r)
	}
	if o := eyelet(t, "quantize", seedModel, "-o", model, "--type", "q2_k_s", "--imatrix", out,
		"--allow-requantize"); o.code != 0 {
		t.Errorf("%+v", o)
	}
	eyelet(t, "quantize", seedModel, "--type", "q2_k_s", "--imatrix", out, "--allow-requantize",
		"--dry-run", "--include-weights", "nonesuch").mustFail(t, 2, "none is left to use")
	eyelet(t, "imatrix", seedModel, "-o", out, "-p", seedProjector).mustFail(t, 2,
		"the file is there already")
}

func TestImatrixOfATowerFeedsQuantize(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	out, tower := filepath.Join(dir, "imatrix.gguf"), filepath.Join(dir, "q2.gguf")
	args := []string{"imatrix", seedProjector, "-o", out, "--json"}
	for _, name := range []string{"page.png", "sum.png"} {
		args = append(args, "--image", filepath.Join("..", "..", "models", "builtin", "demo", name))
	}
	o := eyelet(t, args...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	var r models.ImatrixReport
	strictly(t, o.stdout, &r)
	if r.Matrices != 32 || r.Chunks != 2 || len(r.Datasets) != 2 {
		t.Errorf("%+v", r)
	}
	measured := func(flags ...string) float64 {
		t.Helper()
		var q models.Quantization
		o := eyelet(t, append([]string{"quantize", seedProjector, "-o", tower, "--type", "q2_k",
			"--force", "--json", "--measure", "--image", filepath.Join("..", "..", "models",
				"builtin", "demo", "black-star.png")}, flags...)...)
		strictly(t, o.stdout, &q)
		return q.Error.Relative
	}
	if with, without := measured("--imatrix", out), measured(); with >= without {
		t.Errorf("the error is %v with an importance matrix, %v without", with, without)
	}
	o = eyelet(t, "show", tower, "--json")
	if o.code != 0 {
		t.Errorf("%+v", o)
	}
}

func TestImatrixSaysWhatIsWrong(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "imatrix.gguf")
	short := writeFile(t, filepath.Join(dir, "short.txt"), "too short")
	bytes := writeFile(t, filepath.Join(dir, "bytes.txt"), "\xff\xd8\xff\xe0")
	mustRefuse(t, "imatrix", []refusal{
		{nil, 2, []string{"MODEL is missing"}},
		{[]string{seedModel}, 2, []string{"--out is missing"}},
		{[]string{seedModel, "-o", out}, 2, []string{"give --text, or --projector"}},
		{[]string{seedModel, "-o", out, "--text", short}, 2, []string{"the text has 5 tokens"}},
		{[]string{seedModel, "-o", out, "--text", bytes}, 2,
			[]string{"bytes.txt is no text in UTF-8"}},
		{[]string{seedModel, "-o", out, "--text", short, "--questions", dir}, 2,
			[]string{"--questions wants --projector"}},
		{[]string{seedModel, "-o", out, "-p", seedModel}, 3, []string{"not a vision projector"}},
		{[]string{seedProjector, "-o", out, "--text", short}, 2, []string{"is a projector",
			"--text"}},
		{[]string{seedModel, "-o", out, "--image", short}, 2,
			[]string{"--image is for a projector's matrix"}},
		{[]string{seedProjector, "-o", out, "--image", short}, 3, []string{"short.txt"}},
	})
}
