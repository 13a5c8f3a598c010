package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/eyelet-engine/eyelet/models/builtin"
)

// Tests have a cache folder of their own: what was measured on this machine chooses between kernels
// that round otherwise. The reader of PDF files, which takes long to compile, is the user's.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "eyelet-engine-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if kept, err := builtin.CacheDir(); err == nil {
		if kept = filepath.Join(kept, "pdf"); os.MkdirAll(kept, 0o700) == nil {
			_ = os.Symlink(kept, filepath.Join(dir, "pdf"))
		}
	}
	os.Setenv("EYELET_CACHE", dir)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

const (
	seedModel     = "../models/builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
	pictures      = "../models/builtin/testdata/pictures/"
)

// open loads the built-in model, with changes to its spec.
func open(t testing.TB, change ...func(*ModelSpec)) *Model {
	t.Helper()
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	spec := ModelSpec{Model: seedModel, Projector: seedProjector}
	for _, c := range change {
		c(&spec)
	}
	m, err := e.Load(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func textOnly(s *ModelSpec) { s.Projector = "" }

func picture(t testing.TB, name string) *Image {
	t.Helper()
	image, err := ImageFile(pictures + name)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// wholeAnswer is a whole answer.
type wholeAnswer struct {
	text     string
	tokens   []Token
	logprobs []TokenLogprob
	Result
}

func collect(ctx context.Context, m *Model, r Request) (wholeAnswer, error) {
	var a wholeAnswer
	var text strings.Builder
	for ev, err := range m.Generate(ctx, r) {
		if err != nil {
			a.text = text.String()
			return a, err
		}
		text.WriteString(ev.Text)
		a.tokens = append(a.tokens, ev.Tokens...)
		a.logprobs = append(a.logprobs, ev.Logprobs...)
		if ev.Done != nil {
			a.Result = *ev.Done
		}
	}
	a.text = text.String()
	return a, nil
}

func mustAsk(t testing.TB, m *Model, r Request) wholeAnswer {
	t.Helper()
	a, err := collect(context.Background(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// damaged writes the first n bytes of a file to a new one.
func damaged(t *testing.T, path string, n int) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir() + "/damaged.gguf"
	if err := os.WriteFile(out, data[:n], 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}
