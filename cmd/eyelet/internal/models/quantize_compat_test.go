package models

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestQuantizeIsCalledAsLlamaQuantizeIs(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"m.gguf":                    "m.gguf   0",
		"dir/m.gguf Q4_K_M":         "dir/m.gguf dir/ggml-model-Q4_K_M.gguf Q4_K_M 0",
		"m.gguf out.gguf q4_k 4":    "m.gguf out.gguf q4_k 4",
		"m.gguf out.gguf 15":        "m.gguf out.gguf 15 0",
		"m.gguf 15":                 "m.gguf ggml-model-Q4_K_M.gguf 15 0",
		"m.gguf COPY":               "m.gguf ggml-model-COPY.gguf COPY 0",
		"m.gguf out.gguf":           "error",
		"m.gguf out.gguf q9":        "error",
		"m.gguf out.gguf q4_0 four": "error",
		"m.gguf q4_0 4 5":           "error",
	} {
		var o quantizeOptions
		model, err := o.positional(NewQuantizeCommand(), strings.Fields(args))
		got := fmt.Sprintf("%s %s %s %d", model, o.out, o.typ, o.threads)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%v)", args, got, want, err)
		}
	}
}

func TestTypesOfAProjectorAreNamedAsForLlamaQuantize(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"q4_k": "Q4_K", "15": "Q4_K", "Q4_K_M": "Q4_K",
		"7": "Q8_0", "1": "F16", "Q4_K_S": "error", "iq2_m": "error", "99": "error"} {
		got, err := projectorType(name)
		if text := got.String(); err == nil && text != want || (err != nil) != (want == "error") {
			t.Errorf("%s: %s, want %s (%v)", name, text, want, err)
		}
	}
}

func TestPatternsAreInSmallLetters(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{"ATTN_V": "attn_v",
		`\S+\.FFN_\w+\\D`: `\S+\.ffn_\w+\\d`, `x\`: `x\`} {
		if got := lowerPattern(pattern); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}

func TestRulesComeFromFilesToo(t *testing.T) {
	t.Parallel()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("rules.txt", "attn_v=q8_0 ffn_down=q6_k\n\nattn_q=q5_k\n")
	o := quantizeOptions{tensors: []string{"output=q8_0"}, tensorFiles: []string{path}}
	if list, err := o.allTensorRules(); err != nil ||
		!reflect.DeepEqual(list, []string{"output=q8_0", "attn_v=q8_0", "ffn_down=q6_k",
			"attn_q=q5_k"}) {
		t.Errorf("%v, %v", list, err)
	}
	empty := quantizeOptions{tensorFiles: []string{write("none.txt", " \n")}}
	if _, err := empty.allTensorRules(); err == nil {
		t.Error("an empty file is taken")
	}
}

func TestKeysOfTheMetadataAreSet(t *testing.T) {
	t.Parallel()
	o := quantizeOptions{overrideKV: []string{"general.name=str:a: b", "x.n=int:-7",
		"x.f=float:0.5", "x.b=bool:true"}}
	if err := o.overrideKeys(); err != nil {
		t.Fatal(err)
	}
	if name, _ := o.keys[0].Value.Str(); name != "a: b" {
		t.Errorf("%q", name)
	}
	if n, _ := o.keys[1].Value.Uint(); n != 7 {
		t.Errorf("%d", n)
	}
	for _, bad := range []string{"x", "x=1", "=int:1", "x=int:one", "x=int:4294967296",
		"x=bool:yes", "x=array:1"} {
		o := quantizeOptions{overrideKV: []string{bad}}
		if o.overrideKeys() == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestWeightsAreChosenByName(t *testing.T) {
	t.Parallel()
	names := []string{"blk.0.attn_v.weight", "blk.0.attn_q.weight", "blk.0.ffn_up.weight"}
	for _, c := range []struct {
		o    quantizeOptions
		want int
	}{{quantizeOptions{includeWeights: []string{"attn_"}}, 2},
		{quantizeOptions{excludeWeights: []string{"attn_v", "ffn"}}, 1}, {quantizeOptions{}, 3}} {
		n := 0
		for _, name := range names {
			if c.o.usesWeights(name) {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%v, %v: %d of them", c.o.includeWeights, c.o.excludeWeights, n)
		}
	}
}

// Folders and names may have what patterns are made of.
func TestPartsOfASplitModelAreFound(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "models [old]")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(dir, "m[1].*-00001-of-00002.gguf")
	if err := os.WriteFile(there, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"m[1].*.gguf": there, "m[1].*": there,
		"m1.x.gguf": "", "m.gguf": ""} {
		if got := splitPart(filepath.Join(dir, name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
