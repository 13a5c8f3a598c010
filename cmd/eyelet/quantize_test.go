package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
)

func TestQuantizeWritesModelsThatRun(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	model, projector := filepath.Join(dir, "q5.gguf"), filepath.Join(dir, "mmproj.gguf")
	o := eyelet(t, "quantize", seedModel, "-o", model, "--type", "q5_k_m", "--allow-requantize",
		"--tensor", `blk\.0\.attn_v=q8_0`, "--output-type", "f16", "--json")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	var q models.Quantization
	strictly(t, o.stdout, &q)
	types := map[string]string{}
	for _, x := range q.Tensors {
		types[x.Name] = x.To
	}
	if q.Type != "Q5_K_M" || q.Out != model || types["output.weight"] != "F16" ||
		types["blk.0.attn_v.weight"] != "Q8_0" || types["blk.1.attn_q.weight"] != "Q5_K" {
		t.Errorf("%+v", q)
	}
	sum := sha256.Sum256([]byte(readFile(t, model)))
	if q.SHA256 != hex.EncodeToString(sum[:]) || q.Bytes != int64(len(readFile(t, model))) {
		t.Errorf("%d bytes, sha256 %s", q.Bytes, q.SHA256)
	}
	o = eyelet(t, "quantize", seedProjector, "-o", projector, "--type", "q5_1", "--measure")
	for _, text := range []string{"  Q5_1 ", "image tokens: relative error 0.0", "sha256 "} {
		if o.code != 0 || !strings.Contains(o.stdout, text) {
			t.Errorf("%q is missing in %+v", text, o)
		}
	}
	o = eyelet(t, "run", "--model", model, "--mmproj", projector, "--image",
		pictures+"/shape-4.png", "What color is the background?")
	o.mustSay(t, "cyan")
	eyelet(t, "quantize", seedProjector, "-o", projector, "--type", "q4_0").mustFail(t, 2,
		"the file is there already; give --force to replace it")
	if o := eyelet(t, "quantize", seedProjector, "-o", projector, "--type", "q4_0",
		"--force"); o.code != 0 {
		t.Errorf("%+v", o)
	}
}

func TestQuantizeSearchesWithinAnErrorAndASize(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	for _, tt := range []struct {
		args  []string
		error float64 // of the picture's tokens, at most
	}{{[]string{"--max-error", "0.01"}, 0.01},
		{[]string{"--target-size", "4.5MB", "--image", pictures + "/shape-1.png"}, 0.03}} {
		o := eyelet(t, append([]string{"quantize", seedProjector, "--dry-run", "--json"},
			tt.args...)...)
		if o.code != 0 {
			t.Fatalf("%+v", o)
		}
		var q models.Quantization
		strictly(t, o.stdout, &q)
		if q.Error == nil || q.Error.Relative <= 0 || q.Error.Relative > tt.error ||
			q.Bytes > 4_500_000 || q.Out != "" || q.Type != "mixed" {
			t.Errorf("%v: %+v, %+v", tt.args, q.Error, q)
		}
	}
}

func TestQuantizeSaysWhatIsWrong(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	bad := writeFile(t, filepath.Join(t.TempDir(), "bad.gguf"), "no importance matrix")
	mustRefuse(t, "quantize", []refusal{
		{nil, 2, []string{"MODEL is missing"}},
		{[]string{seedModel, "-o", out}, 2, []string{"--type is missing"}},
		{[]string{seedModel, "--type", "q8_0"}, 2, []string{"--out is missing"}},
		{[]string{seedModel, "-o", out, "--type", "q9"}, 2, []string{"unknown file type"}},
		{[]string{seedModel, "-o", out, "--type", "q4_0"}, 2, []string{"quantized already",
			"--allow-requantize"}},
		{[]string{seedModel, "-o", out, "--type", "iq2_m", "--allow-requantize"}, 2,
			[]string{"needs an importance matrix", "eyelet imatrix"}},
		{[]string{seedModel, "-o", out, "--type", "q8_0", "--allow-requantize", "--embedding-type",
			"iq2_xxs"}, 2, []string{"token_embd.weight", "importance matrix"}},
		{[]string{seedModel, "-o", out, "--type", "copy", "--output-tensor-type", "q8_0"}, 2,
			[]string{"--type copy"}},
		{[]string{seedModel, "-o", out, "--type", "q4_0", "--allow-requantize", "--tensor",
			"nonesuch=q8_0"}, 2, []string{"no tensor's name matches"}},
		{[]string{seedProjector, "-o", out, "--type", "q4_0", "--tensor", "nonesuch=q8_0"}, 2,
			[]string{"no tensor's name matches"}},
		{[]string{seedModel, "-o", out, "--type", "q4_0", "--imatrix", bad}, 3,
			[]string{"not an importance matrix"}},
		{[]string{seedModel, "-o", out, "--type", "q4_0", "--tensor", "attn_q"}, 2,
			[]string{"give PATTERN=TYPE"}},
		{[]string{seedModel, "-o", out, "--type", "q4_0", "--tensor", "attn_q=q9"}, 2,
			[]string{"no type of tensors"}},
		{[]string{seedModel, "-o", out, "--max-error", "0.1"}, 2, []string{"for projectors"}},
		{[]string{seedModel, "-o", out, "--type", "q8_0", "--measure"}, 2,
			[]string{"for projectors"}},
		{[]string{seedProjector, "-o", out, "--type", "q4_k_s"}, 2,
			[]string{"unknown type", "q8_0"}},
		{[]string{seedProjector, "-o", out, "--type", "q8_0", "--keep-output"}, 2,
			[]string{"--keep-output is for language models"}},
		{[]string{seedProjector, "-o", out, "--type", "q8_0", "--tensor", "ln1.weight=q8_0"}, 4,
			[]string{"does not fit"}},
		{[]string{seedProjector, "-o", out, "--max-error", "2"}, 2, []string{"between 0 and 1"}},
		{[]string{seedProjector, "-o", out, "--target-size", "much"}, 2, []string{"--target-size"}},
		{[]string{seedProjector, "-o", out, "--target-size", "1KB"}, 4,
			[]string{"allow fewer bits"}},
		{[]string{seedModel, "-o", out, "--type", "q4_0", "--allow-requantize", "--tensor",
			"(=q8_0"}, 2, []string{`the pattern "("`, "regular expression"}},
		{[]string{seedModel, "-o", out, "--type", "f16", "--prune-layers", "1,6"}, 2,
			[]string{"no layer 6", "it has 6, from 0 on"}},
		{[]string{seedModel, "-o", out, "--type", "f16", "--prune-layers", "1,1"}, 2,
			[]string{"layer 1 is left out twice"}},
		{[]string{seedModel, "-o", out, "--type", "f16", "--prune-layers", "0,1,2,3,4,5"}, 2,
			[]string{"no layer", "would be left"}},
		{[]string{seedProjector, "-o", out, "--type", "f16", "--prune-layers", "1"}, 2,
			[]string{"--prune-layers is for language models"}},
		{[]string{seedModel, "-o", out, "--type", "f16", "--override-kv",
			"llama.rope.freq_base=float:nan"}, 2, []string{"no finite number"}},
		{[]string{seedProjector, "-o", out, "--type", "q4_0", "--override-kv", "x"}, 2,
			[]string{"give KEY=TYPE:VALUE"}},
		{[]string{seedProjector, "-o", out, "--type", "q4_0", "--tensor-type-file", bad}, 2,
			[]string{"give PATTERN=TYPE"}},
		{[]string{seedProjector, "-o", out, "--max-error", "0.1", "--tensor-type-file", bad}, 2,
			[]string{"--tensor cannot be used"}},
		{[]string{filepath.Join(dir, "none.gguf"), "-o", out, "--type", "q8_0"}, 3,
			[]string{"check the path"}},
		{[]string{bad, "-o", out, "--type", "q8_0"}, 3, []string{"GGUF"}},
	})
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestRulesThatContradictEachOtherAreWarnedOf(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	o := eyelet(t, "quantize", seedModel, "--dry-run", "--type", "q4_k", "--allow-requantize",
		"--leave-output-tensor", "--tensor-type", "attn=q8_0", "--tensor", "attn_v=q5_0")
	if o.code != 0 || !strings.Contains(o.stderr, "warning: several --tensor rules match") ||
		!strings.Contains(o.stderr, "attn=q8_0, attn_v=q5_0") {
		t.Errorf("%+v", o)
	}
	o = eyelet(t, "quantize", seedProjector, "--dry-run", "--type", "q4_0", "--tensor-type",
		"attn_v=q5_0", "--tensor-type", `blk\.0\.attn_[qkv]=q8_0`)
	if o.code != 0 || !strings.Contains(o.stderr, "warning: several --tensor rules match") ||
		!strings.Contains(o.stderr, "v.blk.0.attn_v.weight") {
		t.Errorf("%+v", o)
	}
}

// TestRulesOfAFileAndKeysCountForProjectors, as for language models.
func TestRulesOfAFileAndKeysCountForProjectors(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	rules := writeFile(t, filepath.Join(dir, "rules.txt"), "attn_v=q8_0\nattn_k=q5_0\n")
	out := filepath.Join(dir, "out.gguf")
	o := eyelet(t, "quantize", seedProjector, "-o", out, "--type", "q4_0", "--tensor-type-file",
		rules, "--override-kv", "general.name=str:Small tower", "--json")
	var q models.Quantization
	strictly(t, o.stdout, &q)
	types := map[string]string{}
	for _, x := range q.Tensors {
		types[x.Name] = x.To
	}
	if o.code != 0 || types["v.blk.1.attn_v.weight"] != "Q8_0" ||
		types["v.blk.1.attn_k.weight"] != "Q5_0" || types["v.blk.1.attn_q.weight"] != "Q4_0" {
		t.Errorf("%+v", o)
	}
	if o := eyelet(t, "show", out, "--json"); !strings.Contains(o.stdout, "Small tower") {
		t.Errorf("%+v", o)
	}
}
