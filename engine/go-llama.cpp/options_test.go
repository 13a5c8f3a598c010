package llama_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	llama "github.com/go-skynet/go-llama.cpp"
)

func TestDefaults(t *testing.T) {
	m, p := llama.NewModelOptions(), llama.NewPredictOptions()
	if !reflect.DeepEqual(m, llama.DefaultModelOptions) {
		t.Errorf("%+v", m)
	}
	if m.ContextSize != 512 || m.Seed != 0 || m.F16Memory || m.MLock || m.Embeddings || !m.MMap ||
		m.LowVRAM || m.NBatch != 512 || m.FreqRopeBase != 10000 || m.FreqRopeScale != 1 {
		t.Errorf("%+v", m)
	}
	if p.Seed != -1 || p.Threads != 4 || p.Tokens != 128 || p.Penalty != 1.1 || p.Repeat != 64 ||
		p.Batch != 512 || p.NKeep != 64 || p.TopK != 40 || p.TopP != 0.95 ||
		p.TailFreeSamplingZ != 1 || p.TypicalP != 1 || p.Temperature != 0.8 ||
		p.FrequencyPenalty != 0 || p.PresencePenalty != 0 || p.Mirostat != 0 ||
		p.MirostatTAU != 5 || p.MirostatETA != 0.1 || !p.MMap || p.RopeFreqBase != 10000 ||
		p.RopeFreqScale != 1 || p.PenalizeNL || p.NDraft != 0 {
		t.Errorf("%+v", p)
	}
}

// TestEachOptionSetsItsField gives each option a value and looks for the one field that has
// changed.
func TestEachOptionSetsItsField(t *testing.T) {
	yes := true
	for field, opt := range map[string]llama.ModelOption{
		"ContextSize": llama.SetContext(7), "Seed": llama.SetModelSeed(7),
		"NBatch": llama.SetNBatch(7), "MMap": llama.SetMMap(false),
		"NGPULayers": llama.SetGPULayers(7), "MainGPU": llama.SetMainGPU("7"),
		"TensorSplit": llama.SetTensorSplit("7"), "FreqRopeBase": llama.WithRopeFreqBase(7),
		"FreqRopeScale": llama.WithRopeFreqScale(7), "LoraAdapter": llama.SetLoraAdapter("7"),
		"LoraBase":   llama.SetLoraBase("7"),
		"Perplexity": llama.SetPerplexity(yes), "MMProj": llama.SetMMProj("7"),
		"MulMatQ": llama.SetMulMatQ(yes), "F16Memory": llama.EnableF16Memory,
		"Embeddings": llama.EnableEmbeddings, "MLock": llama.EnableMLock,
		"LowVRAM": llama.EnabelLowVRAM, "NUMA": llama.EnableNUMA,
	} {
		changed(t, field, llama.NewModelOptions(), llama.NewModelOptions(opt, nil))
	}
	for field, opt := range map[string]llama.PredictOption{
		"Seed": llama.SetSeed(7), "Threads": llama.SetThreads(7), "Tokens": llama.SetTokens(7),
		"TopK": llama.SetTopK(7), "TopP": llama.SetTopP(7),
		"Temperature": llama.SetTemperature(7), "Repeat": llama.SetRepeat(7),
		"Penalty": llama.SetPenalty(7), "FrequencyPenalty": llama.SetFrequencyPenalty(7),
		"PresencePenalty": llama.SetPresencePenalty(7), "PenalizeNL": llama.SetPenalizeNL(yes),
		"Batch": llama.SetBatch(7), "NKeep": llama.SetNKeep(7),
		"TailFreeSamplingZ": llama.SetTailFreeSamplingZ(7), "TypicalP": llama.SetTypicalP(7),
		"Mirostat": llama.SetMirostat(7), "MirostatTAU": llama.SetMirostatTAU(7),
		"MirostatETA": llama.SetMirostatETA(7), "LogitBias": llama.SetLogitBias("7"),
		"Grammar": llama.WithGrammar("7"), "PathPromptCache": llama.SetPathPromptCache("7"),
		"NDraft": llama.SetNDraft(7), "NegativePrompt": llama.SetNegativePrompt("7"),
		"NegativePromptScale": llama.SetNegativePromptScale(7),
		"RopeFreqBase":        llama.SetRopeFreqBase(7), "RopeFreqScale": llama.SetRopeFreqScale(7),
		"MLock": llama.SetMlock(yes), "MMap": llama.SetMemoryMap(false),
		"MainGPU":     llama.SetPredictionMainGPU("7"),
		"TensorSplit": llama.SetPredictionTensorSplit("7"), "IgnoreEOS": llama.IgnoreEOS,
		"DebugMode":      llama.Debug,
		"PromptCacheAll": llama.EnablePromptCacheAll, "PromptCacheRO": llama.EnablePromptCacheRO,
		"F16KV": llama.EnableF16KV, "StopPrompts": llama.SetStopWords("7"),
		"Images": llama.SetImages("7"), "TokenCallback": llama.SetTokenCallback(func(string) bool {
			return true
		}),
	} {
		changed(t, field, llama.NewPredictOptions(), llama.NewPredictOptions(opt, nil))
	}
}

func changed(t *testing.T, field string, before, after any) {
	t.Helper()
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		name := b.Type().Field(i).Name
		same := reflect.DeepEqual(b.Field(i).Interface(), a.Field(i).Interface())
		if b.Field(i).Kind() == reflect.Func {
			same = b.Field(i).IsNil() == a.Field(i).IsNil()
		}
		if same == (name == field) {
			t.Errorf("the option of %s: %s is %v, before %v", field, name, a.Field(i), b.Field(i))
		}
	}
}

func TestWhatOptionsOfPredictionsChange(t *testing.T) {
	l := open(t, llama.SetContext(512))
	t.Run("Tokens", func(t *testing.T) {
		if n := len(tokensOf(t, l, question, greedy(7)...)); n != 7 {
			t.Errorf("%d tokens", n)
		}
	})
	t.Run("Seed", func(t *testing.T) {
		draw := func(seed int) string {
			return predict(t, l, question, llama.SetSeed(seed), llama.SetTemperature(3),
				llama.SetTokens(20), llama.IgnoreEOS)
		}
		if a, b := draw(5), draw(5); a != b {
			t.Errorf("%q and %q of one seed", a, b)
		}
		if a, b := draw(5), draw(6); a == b {
			t.Errorf("%q of two seeds", a)
		}
		if a, b := draw(-1), draw(-1); a == b {
			t.Errorf("%q twice without a seed", a)
		}
	})
	t.Run("narrowing", func(t *testing.T) {
		want := predict(t, l, question, greedy(20)...)
		for name, opt := range map[string]llama.PredictOption{"TopK": llama.SetTopK(1),
			"TopP": llama.SetTopP(1e-6), "no TopP": llama.SetTopP(0),
			"TailFreeSamplingZ": llama.SetTailFreeSamplingZ(0),
			"TypicalP":          llama.SetTypicalP(1e-6),
			"Temperature":       llama.SetTemperature(1e-4)} {
			wild := []llama.PredictOption{llama.SetTemperature(3), llama.SetTopK(0),
				llama.SetTopP(1), llama.SetPenalty(1), llama.SetTokens(20), llama.SetSeed(1),
				llama.IgnoreEOS}
			if got := predict(t, l, question, wild...); got == want {
				t.Fatalf("%q without narrowing", got)
			}
			// it keeps what is as surprising as the whole: the same for each seed
			if name == "TypicalP" {
				a := predict(t, l, question, append(wild, opt)...)
				if b := predict(t, l, question, append(wild, opt, llama.SetSeed(2))...); a != b {
					t.Errorf("%s: %q and %q", name, a, b)
				}
				continue
			}
			if got := predict(t, l, question, append(wild, opt)...); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
	t.Run("penalties", func(t *testing.T) {
		text := "USER: " + strings.Repeat("blue ", 12) + "ASSISTANT:"
		plain := predict(t, l, text, greedy(24)...)
		for name, opt := range map[string]llama.PredictOption{"Penalty": llama.SetPenalty(9),
			"FrequencyPenalty": llama.SetFrequencyPenalty(9),
			"PresencePenalty":  llama.SetPresencePenalty(9)} {
			if got := predict(t, l, text, greedy(24, opt)...); got == plain {
				t.Errorf("%s changes nothing: %q", name, got)
			}
			if got := predict(t, l, text, greedy(24, opt, llama.SetRepeat(0))...); got != plain {
				t.Errorf("%s looks back on nothing and changes %q to %q", name, plain, got)
			}
		}
	})
	_, nl, err := l.TokenizeString("\n")
	if err != nil {
		t.Fatal(err)
	}
	newline := nl[len(nl)-1]
	t.Run("PenalizeNL", func(t *testing.T) {
		opts := greedy(8, llama.SetPenalty(100), llama.SetLogitBias(fmt.Sprintf("%d+40", newline)))
		lines := strings.Repeat("\n", 7) // one newline at the beginning is left out
		if got := predict(t, l, "USER:\n\n\n", opts...); got != lines {
			t.Errorf("%q", got)
		}
		if got := predict(t, l, "USER:\n\n\n", append(opts, llama.SetPenalizeNL(true))...); got ==
			lines {
			t.Errorf("%q, with newlines penalised", got)
		}
	})
	t.Run("LogitBias", func(t *testing.T) {
		first := tokensOf(t, l, question, greedy(1)...)[0]
		_, ids, err := l.TokenizeString(question + first)
		if err != nil {
			t.Fatal(err)
		}
		for _, bias := range []string{"-inf", "-50"} {
			if got := tokensOf(t, l, question,
				greedy(1, llama.SetLogitBias(fmt.Sprint(ids[len(ids)-1])+bias))...); got[0] ==
				first {
				t.Errorf("bias %s: %q", bias, got)
			}
		}
		for _, bad := range []string{"x+1", "5", "5*1", "5+", "5+nan", "99999999999+1", "-1",
			"900000+1"} {
			if _, err := l.Predict(question, llama.SetLogitBias(bad)); err == nil {
				t.Errorf("the bias %q was taken", bad)
			}
		}
	})
	t.Run("StopWords", func(t *testing.T) {
		whole := predict(t, l, question, greedy(30)...)
		stop := whole[len(whole)/2 : len(whole)/2+3]
		if got := predict(t, l, question,
			greedy(30, llama.SetStopWords("", "nonesuch", stop))...); got !=
			whole[:strings.Index(whole, stop)] {
			t.Errorf("%q stopped at %q is %q", whole, stop, got)
		}
	})
	t.Run("Grammar", func(t *testing.T) {
		got := predict(t, l, question,
			llama.WithGrammar(`root ::= "{\"answer\":" [1-9] [0-9]? "}"`))
		var v struct{ Answer int }
		if err := json.Unmarshal([]byte(got), &v); err != nil {
			t.Errorf("%q: %v", got, err)
		}
		if _, err := l.Predict(question, llama.WithGrammar("root ::= (")); err == nil {
			t.Error("a broken grammar was taken")
		}
	})
	t.Run("Mirostat", func(t *testing.T) {
		for version := 1; version <= 2; version++ {
			opts := []llama.PredictOption{llama.SetMirostat(version), llama.SetSeed(4),
				llama.SetTokens(60), llama.SetTemperature(1), llama.IgnoreEOS}
			low := predict(t, l, question, append(opts, llama.SetMirostatTAU(0.1),
				llama.SetMirostatETA(0.9))...)
			high := predict(t, l, question, append(opts, llama.SetMirostatTAU(9))...)
			if a, b := variety(low), variety(high); a >= b {
				t.Errorf("version %d: %q (%v) and %q (%v)", version, low, a, high, b)
			}
		}
		_, err := l.Predict(question, llama.SetMirostat(3))
		wantError(t, err, "SetMirostat")
	})
	t.Run("NegativePrompt", func(t *testing.T) {
		plain := predict(t, l, question, greedy(20)...)
		for scale, same := range map[float32]bool{0: true, 1: true, 5: false} {
			got := predict(t, l, question,
				greedy(20, llama.SetNegativePrompt("USER: Hello.\nASSISTANT:"),
					llama.SetNegativePromptScale(scale))...)
			if (got == plain) != same {
				t.Errorf("scale %v: %q, plain %q", scale, got, plain)
			}
		}
	})
	t.Run("IgnoreEOS", func(t *testing.T) {
		ends := []llama.PredictOption{llama.SetTemperature(0), llama.SetTokens(200)}
		if n, m := len(tokensOf(t, l, question, ends...)),
			len(tokensOf(t, l, question, append(ends, llama.IgnoreEOS)...)); n >= 200 || m != 200 {
			t.Errorf("%d tokens, %d without an end", n, m)
		}
	})
	t.Run("what cannot be honoured", func(t *testing.T) {
		nan := float32(math.NaN())
		for part, opt := range map[string]llama.PredictOption{
			"tail-free":         llama.SetTailFreeSamplingZ(0.5),
			"WithRopeFreqBase":  llama.SetRopeFreqBase(20000),
			"WithRopeFreqScale": llama.SetRopeFreqScale(0.5),
			"SetTemperature":    llama.SetTemperature(nan), "SetTopP": llama.SetTopP(nan),
			"SetPenalty": llama.SetPenalty(float32(math.Inf(1))),
		} {
			_, err := l.Predict(question, opt)
			wantError(t, err, part)
			wantError(t, l.Eval(question, opt), part)
			// where it counts for nothing
			if _, _, err := l.TokenizeString(question, opt); err != nil {
				t.Error(err)
			}
		}
	})
}

// variety is how many of the bytes pairs of a text there are, for its length.
func variety(text string) float64 {
	pairs := map[string]bool{}
	for i := 0; i+2 <= len(text); i++ {
		pairs[text[i:i+2]] = true
	}
	return float64(len(pairs)) / float64(len(text)+1)
}

func TestAContextThatIsFullGoesOn(t *testing.T) {
	l := open(t, llama.SetContext(256))
	text := strings.Repeat("USER: one two three ", 6)
	for _, keep := range []int{0, 5, 64, -1} {
		if n := len(tokensOf(t, l, text, greedy(400, llama.SetNKeep(keep))...)); n != 400 {
			t.Errorf("NKeep %d: %d tokens", keep, n)
		}
	}
	if _, err := l.Predict(strings.Repeat("word ", 400)); err == nil ||
		!strings.Contains(err.Error(), "context") {
		t.Errorf("a text longer than the context: %v", err)
	}
}

func TestWhatOptionsOfNewChange(t *testing.T) {
	plain := predict(t, open(t), question, greedy(20)...)
	for name, opt := range map[string]llama.ModelOption{
		"F16Memory": llama.EnableF16Memory, "MMap": llama.SetMMap(false),
		"MLock": llama.EnableMLock, "LowVRAM": llama.EnabelLowVRAM, "NUMA": llama.EnableNUMA,
		"MulMatQ": llama.SetMulMatQ(false), "GPULayers": llama.SetGPULayers(10),
		"NBatch": llama.SetNBatch(64), "ModelSeed": llama.SetModelSeed(9),
		"Perplexity": llama.SetPerplexity(true), "LoraBase": llama.SetLoraBase("nonesuch"),
		"MainGPU": llama.SetMainGPU("0"), "TensorSplit": llama.SetTensorSplit("1,2"),
	} {
		if got := predict(t, open(t, opt), question, greedy(20)...); got != plain {
			t.Errorf("%s changes %q to %q", name, plain, got)
		}
	}
	for name, opt := range map[string]llama.ModelOption{"base": llama.WithRopeFreqBase(500),
		"scale": llama.WithRopeFreqScale(0.2), "LoRA": llama.SetLoraAdapter(adapterFile(t))} {
		if got := predict(t, open(t, opt), question, greedy(20)...); got == plain {
			t.Errorf("%s changes nothing", name)
		}
	}
	based := open(t, llama.WithRopeFreqBase(500))
	if got, want := predict(t, based, question, greedy(20, llama.SetRopeFreqBase(500))...),
		predict(t, based, question, greedy(20)...); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for part, opt := range map[string]llama.ModelOption{
		"SetContext": llama.SetContext(-1), "SetMainGPU": llama.SetMainGPU("first"),
		"SetTensorSplit": llama.SetTensorSplit("1,x"), "adapter": llama.SetLoraAdapter(builtin),
		"projector": llama.SetMMProj(builtin),
	} {
		_, err := llama.New(builtin, opt)
		wantError(t, err, part)
	}
}

func TestEmbeddings(t *testing.T) {
	l := open(t, llama.EnableEmbeddings)
	a, err := l.Embeddings("a red circle")
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Embeddings("a red circle", llama.SetTokens(4))
	if err != nil || len(a) != 256 || len(again) != 256 {
		t.Fatalf("%d and %d numbers, %v", len(a), len(again), err)
	}
	_, tokens, err := l.TokenizeString("a red circle")
	if err != nil {
		t.Fatal(err)
	}
	var list []int
	for _, x := range tokens {
		list = append(list, int(x))
	}
	byTokens, err := l.TokenEmbeddings(list)
	if err != nil || !slices.Equal(a, byTokens) {
		t.Errorf("embeddings of the text and of its tokens differ, %v", err)
	}
	square := 0.0
	for _, x := range a {
		square += float64(x) * float64(x)
	}
	if math.Abs(square-1) < 1e-3 {
		t.Error("the embedding is scaled to length 1")
	}
	for _, bad := range [][]int{{}, {-1}, {1 << 20}, {1 << 40}} {
		if _, err := l.TokenEmbeddings(bad); err == nil {
			t.Errorf("%v was embedded", bad)
		}
	}
	_, err = open(t).Embeddings("x")
	wantError(t, err, "model loaded without embeddings")
}

func TestTokens(t *testing.T) {
	l := open(t)
	n, tokens, err := l.TokenizeString("A STRANGE GAME.\nTHE ONLY WINNING MOVE IS NOT TO PLAY.")
	if err != nil || n <= 0 || int(n) != len(tokens) {
		t.Errorf("%d, %v, %v", n, tokens, err)
	}
	long := strings.Repeat("word ", 5000)
	if n, tokens, err = l.TokenizeString(long); err != nil || int(n) != len(tokens) || n < 5000 {
		t.Errorf("%d of %d tokens of a long text, %v", n, len(tokens), err)
	}
}

func TestPictures(t *testing.T) {
	l := open(t, llama.SetMMProj(builtinProjector), llama.SetContext(1024))
	ask := func(file string) string {
		return predict(t, l, "USER: <image>\nWhat is in this picture? ASSISTANT:",
			llama.SetTemperature(0), llama.SetTokens(32), llama.SetImages(file))
	}
	a, b := ask(pictures+"shape-1.png"), ask(pictures+"shape-4.png")
	if a == b {
		t.Errorf("two pictures, one answer: %q", a)
	}
	f, err := os.Open(pictures + "shape-4.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := predict(t, l, "USER: <image>\nWhat is in this picture? ASSISTANT:",
		llama.SetTemperature(0), llama.SetTokens(32), llama.SetImageReaders(f)); got != b {
		t.Errorf("read %q, by its name %q", got, b)
	}
	_, err = l.Predict("what?", llama.SetImages("nonesuch.png"))
	wantError(t, err, "nonesuch.png")
	_, err = open(t).Predict("what?", llama.SetImages(pictures+"shape-1.png"))
	wantError(t, err, "projector")
}
