package llama_test

import (
	"strings"
	"testing"

	llama "github.com/go-skynet/go-llama.cpp"
)

const (
	builtin          = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	builtinProjector = "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
	pictures         = "../../models/builtin/testdata/pictures/"
	question         = "USER: What can you do?\nASSISTANT:"
)

// open opens the built-in model for a test.
func open(t testing.TB, opts ...llama.ModelOption) *llama.LLama {
	t.Helper()
	l, err := llama.New(builtin, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Free)
	return l
}

// greedy are options for the most probable text, of so many tokens.
func greedy(n int, opts ...llama.PredictOption) []llama.PredictOption {
	return append([]llama.PredictOption{llama.SetTemperature(0), llama.SetPenalty(1),
		llama.SetTokens(n), llama.IgnoreEOS}, opts...)
}

func predict(t testing.TB, l *llama.LLama, text string, opts ...llama.PredictOption) string {
	t.Helper()
	out, err := l.Predict(text, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tokensOf are the tokens of a prediction, as its callback sees them.
func tokensOf(t testing.TB, l *llama.LLama, text string, opts ...llama.PredictOption) []string {
	t.Helper()
	var list []string
	listen := llama.SetTokenCallback(func(token string) bool {
		list = append(list, token)
		return true
	})
	out := predict(t, l, text, append(opts, listen)...)
	if all := strings.Join(list, ""); strings.TrimPrefix(all, "\n") != out {
		t.Errorf("the callback saw %q, the prediction is %q", all, out)
	}
	return list
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want an error with %q", err, part)
	}
}
