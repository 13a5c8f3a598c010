package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
)

const hfFolders = "../../models/convert/testdata"

func TestConvertWritesAModelThatRuns(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	out := filepath.Join(t.TempDir(), "llava.gguf")
	o := eyelet(t, "convert", filepath.Join(hfFolders, "llava15"), "-o", out, "--type", "q8_0",
		"--json")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	var c models.Conversion
	strictly(t, o.stdout, &c)
	projector := filepath.Join(filepath.Dir(out), "mmproj-llava.gguf")
	if c.Architecture != "LlavaForConditionalGeneration" || c.Type != "q8_0" ||
		c.Model.File != out || c.Model.Tensors != 21 ||
		c.Projector == nil || c.Projector.File != projector || c.Projector.Tensors != 41 {
		t.Errorf("%+v", c)
	}
	for _, f := range []models.ConvertedFile{c.Model, *c.Projector} {
		if info, err := os.Stat(f.File); err != nil || info.Size() != f.Bytes {
			t.Errorf("%s: %v", f.File, err)
		}
	}
	o = eyelet(t, "run", "--model", out, "--mmproj", projector, "--image", filepath.Join(hfFolders,
		"picture.png"), "--max-tokens", "4", "What is this?")
	if o.code != 0 || o.stderr != "" {
		t.Errorf("%+v", o)
	}
	eyelet(t, "convert", filepath.Join(hfFolders, "llava15"), "-o", out).mustFail(t, 2, out,
		"the file is there already; give --force to replace it")
	o = eyelet(t, "convert", filepath.Join(hfFolders, "llava15"), "-o", out, "--force")
	o.mustSay(t, out+": 40.9 K parameters in 21 tensors, 90.1 KiB\n"+projector+": 24.5 K parameters in 41 tensors, 53.8 KiB")
}

func TestConvertSaysWhatIsWrong(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	config := writeFile(t, filepath.Join(dir, "other", "config.json"),
		`{"architectures":["GemmaForCausalLM"]}`)
	mustRefuse(t, "convert", []refusal{
		{nil, 2, []string{"DIR is missing", `"eyelet convert --help"`}},
		{[]string{dir}, 2, []string{"--out is missing"}},
		{[]string{dir, "-o", out, "--type", "q4_k"}, 2,
			[]string{`--type is "q4_k"; give f32, f16, bf16, q8_0`}},
		{[]string{dir, "-o", out, "--mmproj", out}, 2, []string{"cannot be both"}},
		{[]string{filepath.Join(dir, "none"), "-o", out}, 3, []string{"none", "--help"}},
		{[]string{dir, "-o", out}, 3, []string{"no " + filepath.Join(dir, "config.json"),
			"says what the folder must hold"}},
		{[]string{config, "-o", out}, 2, []string{"give the folder that holds"}},
		{[]string{filepath.Dir(config), "-o", out}, 3,
			[]string{`"GemmaForCausalLM"; known are LlamaForCausalLM, `}},
	})
	if _, err := os.Stat(out); err == nil {
		t.Error("a file is there")
	}
}
