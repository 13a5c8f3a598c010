package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

const (
	famContext = 1024
	famTokens  = 24
	// Two ways to compute the same prompt, in other portions or with other kernels, move the logits
	// by some hundredths. Where the two best tokens are closer than this, either may be said.
	famClose = 0.05
)

var families = []*family{&qwen2vl, &gemma3, &idefics3}

// openFamily opens a family's model, with another encoder than the usual if one is named.
func openFamily(t testing.TB, f *family, encoder ...string) (m *Model, model, projector string) {
	t.Helper()
	model, projector = f.make(t)
	m = open(t, func(s *ModelSpec) {
		s.Model, s.Projector, s.Context, s.Encoder = model, projector, famContext,
			strings.Join(encoder, "")
	})
	return m, model, projector
}

// scene is a picture of scenery.
func scene(t testing.TB, kind, w, h int) *Image {
	t.Helper()
	img, err := ImageFile(scenery(t, kind, w, h))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// say asks for famTokens tokens, and the margins between the best two at each place.
func say(t testing.TB, m *Model, fresh bool, messages ...Message) wholeAnswer {
	t.Helper()
	return mustAsk(t, m, Request{Messages: messages, MaxTokens: famTokens, Logprobs: true,
		TopLogprobs: 2, Fresh: fresh})
}

// agree compares an answer with the same answer computed elsewhere. They may part where the best
// two tokens are nearly equal, which agree then reports as false.
func agree(t *testing.T, what string, a wholeAnswer, want string) bool {
	t.Helper()
	want = strings.TrimSpace(want)
	said := ""
	for _, l := range a.logprobs {
		said += l.Text
		if strings.HasPrefix(want, strings.TrimSpace(said)) {
			continue
		}
		if margin := l.Top[0].Logprob - l.Top[1].Logprob; margin > famClose {
			t.Errorf("%s: %q, want %q; they part after %q with a margin of %.2f", what, a.text,
				want, said, margin)
		} else {
			t.Logf("%s: %q and %q part at a near tie", what, a.text, want)
		}
		return false
	}
	if strings.TrimSpace(said) != want {
		t.Errorf("%s: %q, want %q", what, said, want)
	}
	return true
}

// askPeer returns llama-mtmd-cli's answer. The program prints from a thread of its own that it does
// not wait for at its end, so that the end of its output is sometimes missing: an answer counts if
// it is as long as expected, or the empty lines after it are there.
func askPeer(t *testing.T, m *Model, model, projector, prompt, expected string,
	pictures ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 20 {
		cmd, err := peers.Command(ctx, "llama-mtmd-cli", "-m", model, "--mmproj", projector,
			"--image", strings.Join(pictures, ","), "-p", prompt,
			"--jinja", "--temp", "0", "-n", fmt.Sprint(famTokens), "-t",
			fmt.Sprint(m.engine.Threads()), "-c", fmt.Sprint(famContext),
			"--no-warmup", "--fit", "off")
		if err != nil {
			t.Fatal(err)
		}
		// or its threads starve each other on a busy machine
		cmd.Env = append(cmd.Environ(), "GOMP_SPINCOUNT=0")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
		answer := strings.TrimSpace(string(out))
		if answer != "" && (answer == strings.TrimSpace(expected) || strings.HasSuffix(string(out),
			"\n\n")) {
			return answer
		}
	}
	t.Fatal("llama-mtmd-cli printed no whole answer in 20 runs")
	return ""
}

// ruleOf is the layout of a model's family, nil where package layout has none.
func ruleOf(t *testing.T, m *Model) layout.Layout {
	t.Helper()
	f, err := gguf.Open(m.spec.Projector)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rule, err := layout.New(f, layout.Options{Tokens: 4096})
	if err != nil && !errors.Is(err, layout.ErrUnknown) {
		t.Fatal(err)
	}
	return rule
}

// laidOut returns pictures as the family's layout hands them to libmtmd, where that is one view;
// else as they are.
func laidOut(t *testing.T, m *Model, paths []string) (views []string) {
	t.Helper()
	rule := ruleOf(t, m)
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		img, err := imaging.DecodePicture(t.Context(), data, imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := rule.Plan(img.W, img.H)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Views) == 1 {
			made, err := plan.Pictures(t.Context(), img.RGB)
			if err != nil {
				t.Fatal(err)
			}
			path = filepath.Join(t.TempDir(), fmt.Sprintf("view-%d.png", i))
			if err := os.WriteFile(path, pngOf(t, made[0]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		views = append(views, path)
	}
	return views
}

// The same files, picture and words must make llama.cpp's own program say the same: the tokens
// around a picture and of its tiles, the positions of what comes after, and the direction of
// attention all decide it.
func TestFamiliesAnswerAsLlamaMtmdCliDoes(t *testing.T) {
	peers.Require(t, "llama-mtmd-cli")
	// llama-mtmd-cli has no accelerator, whose towers are in bfloat16: these random weights make
	// more of that than famClose.
	ggml.EnableAccelerator(false)
	defer ggml.EnableAccelerator(true)
	const before, between, after = "Look here:", "and there:", "What is this?"
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			// native towers are held to transformers instead
			m, model, projector := openFamily(t, f, EncoderMtmd)
			if i := m.Info(); i.Encoder != "mtmd" || i.Template != "model" {
				t.Fatalf("%+v", i)
			}
			wide, tall := scenery(t, 0, 150, 70), scenery(t, 1, 60, 100)
			same := 0
			answers := map[string]bool{}
			for _, pictures := range [][]string{{wide}, {tall}, {wide, tall}} {
				content := []Content{Text(before)}
				prompt := before
				for i, path := range pictures {
					if i > 0 {
						content, prompt = append(content, Text(between)), prompt+between
					}
					img, err := ImageFile(path)
					if err != nil {
						t.Fatal(err)
					}
					content, prompt = append(content, Picture(img)),
						prompt+f.around+"<__media__>"+f.around
				}
				a := say(t, m, false, User(append(content, Text(after))...))
				if len(a.tokens) != famTokens {
					t.Errorf("%d tokens", len(a.tokens))
				}
				if agree(t, fmt.Sprintf("%d pictures", len(pictures)), a,
					askPeer(t, m, model, projector, prompt+after, a.text,
						laidOut(t, m, pictures)...)) {
					same++
				}
				answers[a.text] = true
			}
			if same < 2 || len(answers) != 3 {
				t.Errorf("%d of 3 answers are the same; %d different ones", same, len(answers))
			}
		})
	}
}

// What is taken from the cache must be what would be computed: positions after a picture that takes
// fewer of them than it has tokens, and windows that reach back over the place where two prompts
// part.
func TestFamiliesReuseTheirPrefix(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			m, _, _ := openFamily(t, f)
			first := User(Text("Look here:"), Picture(scene(t, 0, 150, 70)), Text("What is this?"))
			a := say(t, m, false, first)
			for name, messages := range map[string][]Message{
				"another question": {User(first.Content[0], first.Content[1],
					Text("Where does it stand, and why?"))},
				"a follow-up": {first, Assistant(a.text),
					User(Text("And what is behind it?"))},
				"a second picture": {first, Assistant(a.text), User(Picture(scene(t, 1, 60, 100)),
					Text("And here?"))},
			} {
				say(t, m, false, first)
				b := say(t, m, false, messages...)
				if b.Usage.Cached < a.Usage.Image || b.Usage.Cached >= b.Usage.Prompt ||
					(b.Usage.Image == a.Usage.Image && b.Timings.Encode != 0) {
					t.Errorf("%s: %+v, %v spent encoding", name, b.Usage, b.Timings.Encode)
				}
				c := say(t, m, true, messages...)
				if c.Usage.Cached != 0 {
					t.Errorf("%s, fresh: %+v", name, c.Usage)
				}
				agree(t, name, b, c.text)
			}
		})
	}
}

// filler is a text of about n tokens.
func filler(t *testing.T, m *Model, n int) string {
	t.Helper()
	var text strings.Builder
	for i := 0; ; i++ {
		fmt.Fprintf(&text, "The %d. circle is red. ", i)
		if tokens, err := m.lm.Vocab().Tokenize(text.String(), false, false); err != nil ||
			len(tokens) >= n {
			return text.String()
		}
	}
}

func TestAPrefixThatASlidingWindowLostIsComputedAgain(t *testing.T) {
	m, _, _ := openFamily(t, &gemma3)
	if w := m.lm.NSWA(); w != famWindow {
		t.Fatalf("a window of %d", w)
	}
	here, img := Text("Look here:"), Picture(scene(t, 0, 150, 70))
	say(t, m, false, User(here, img, Text(filler(t, m, 820))))
	if m.lc.Memory().SeqPosMin(0) < 100 {
		t.Fatal("the cache still has all of the picture: the prompt is too short for this test")
	}
	a := say(t, m, false, User(here, img, Text("What is this?")))
	if a.Usage.Cached != 0 {
		t.Errorf("%+v", a.Usage)
	}
	agree(t, "after a long prompt", a, say(t, m, true, User(here, img, Text("What is this?"))).text)
}

// A decode that is stopped has pushed cells out of the window which the end of what is left attends
// to.
func TestAStoppedDecodeLeavesNoHoleInAWindow(t *testing.T) {
	m, _, _ := openFamily(t, &gemma3)
	ask := User(Text("Look here:"), Picture(scene(t, 0, 150, 70)), Text("What is this?"))
	a := say(t, m, false, ask)
	follow := []Message{ask, Assistant(a.text), User(Text("And what is behind it?"))}
	want := say(t, m, true, follow...)
	say(t, m, true, ask)
	err := m.sched.Do(func() {
		if !m.cache.Reserve(800) {
			t.Error("no room for 800 tokens")
		}
		var s *kv.Sequence // the last one's, alone
		for _, q := range m.cache.Finished() {
			if s == nil && q.Len() > 64 {
				s = q
			} else if err := m.cache.Drop(q); err != nil {
				t.Error(err)
			}
		}
		var entries []sched.Entry
		for i := range llama.Pos(800) {
			entries = append(entries, sched.Entry{Token: 300 + llama.Token(i%50), Pos: s.Next + i,
				Seq: s.ID})
		}
		m.run(func() {
			if err := m.decoder.Decode(t.Context(), entries); err != nil {
				t.Error(err)
			}
		})
		if err := m.cache.Resync(s); err != nil { // as if it had failed in its last part
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b := say(t, m, false, follow...)
	if b.Usage.Cached != 0 {
		t.Errorf("%+v", b.Usage)
	}
	agree(t, "after a stopped decode", b, want.text)
}

// A picture of more tokens than a batch goes through in parts, all at one time under M-RoPE, unless
// it must be whole.
func TestAPictureThatIsLargerThanTheBatch(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			m, _, _ := openFamily(t, f)
			ask := User(Text("Look here:"), Picture(scene(t, 1, 150, 90)), Text("What is this?"))
			whole := say(t, m, true, ask)
			_ = m.sched.Do(func() { m.decoder.Rows = 3 }) // fewer tokens than a tile has
			agree(t, "in parts", say(t, m, true, ask), whole.text)
		})
	}
}

// cancelling gives up on a request when its picture's encoding begins, or, with within, in the
// middle of it: the compute thread takes jobs there.
type cancelling struct {
	vision.Encoder
	cancel context.CancelFunc
	within *compute.Thread
}

func (c cancelling) Begin(in *vision.Input, part int) (vision.Job, error) {
	if c.within == nil {
		c.cancel()
		return c.Encoder.Begin(in, part)
	}
	job, err := c.Encoder.Begin(in, part)
	return cancellingJob{job, c}, err
}

type cancellingJob struct {
	vision.Job
	c cancelling
}

func (j cancellingJob) Advance(ctx context.Context, steps int) error {
	go j.c.within.Do(context.Background(), func() error { j.c.cancel(); return nil })
	return j.Job.Advance(ctx, steps)
}

func TestCancellingAnEncodeOfLibmtmdLeavesTheModelUsable(t *testing.T) {
	m, _, _ := openFamily(t, &qwen2vl, EncoderMtmd)
	r := Request{Messages: []Message{User(Text("Look here:"), Picture(scene(t, 0, 320, 320)),
		Text("What is this?"))}, MaxTokens: famTokens,
		Logprobs: true, TopLogprobs: 2, Fresh: true}
	want := mustAsk(t, m, r)
	real := m.vision
	for i, within := range []*compute.Thread{nil, m.engine.thread} {
		ctx, cancel := context.WithCancel(t.Context())
		m.vision = cancelling{real, cancel, within}
		other := r // what was encoded once is not encoded again
		other.Messages = []Message{User(Text("Look here:"), Picture(scene(t, 0, 320, 310-10*i)),
			Text("What is this?"))}
		a, err := collect(ctx, m, other)
		m.vision = real
		cancel()
		if !errors.Is(err, context.Canceled) || a.text != "" {
			t.Errorf("cancelled in place %d: %q, %v", i, a.text, err)
		}
	}
	agree(t, "after cancels", mustAsk(t, m, r), want.text)
}

// A projector of the right width can still be of another family than the model, which then lacks
// the markers of its pictures.
func TestFamiliesThatAreMixedUp(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	models, projectors := map[string]string{}, map[string]string{}
	for _, f := range families {
		models[f.name], projectors[f.name] = f.make(t)
	}
	for of, model := range models {
		for to, projector := range projectors {
			m, err := e.Load(t.Context(), ModelSpec{Model: model, Projector: projector,
				Context: famContext})
			if missing := of != to; missing != errors.Is(err, ErrMismatch) {
				t.Errorf("a projector of %s with a model of %s: %v", to, of, err)
			}
			if err != nil {
				continue
			}
			for _, size := range [][2]int{{150, 70}, {20, 200}} {
				_, err := collect(t.Context(), m,
					Request{Messages: []Message{User(Picture(scene(t, 0, size[0], size[1])),
						Text("What is this?"))}, MaxTokens: 2})
				if err != nil && !errors.Is(err, ErrContextLength) {
					t.Errorf("a projector of %s with a model of %s: %v", to, of, err)
				}
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// As TestHostileMetadataDoesNotAbortTheProcess, with the numbers that only these families have.
func TestHostileMetadataOfFamiliesDoesNotAbortTheProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector, and nothing in it is concurrent")
	}
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	path := filepath.Join(t.TempDir(), "hostile.gguf")
	question := Request{Messages: []Message{User(Picture(scene(t, 0, 60, 40)),
		Text("What is this?"))}, MaxTokens: 2}
	tried, refused := 0, 0
	for _, f := range families {
		model, projector := f.make(t)
		for _, way := range []struct{ source, encoder string }{{model, ""},
			{projector, EncoderNative}, {projector, EncoderMtmd}} {
			for key, values := range hostileValues(t, way.source) {
				for _, v := range values {
					rewrite(t, way.source, path, map[string]any{key: v}, nil)
					tried++
					spec := ModelSpec{Model: path, Projector: projector, Context: 256,
						Encoder: way.encoder}
					if way.source == projector {
						spec.Model, spec.Projector = model, path
					}
					m, err := e.Load(t.Context(), spec)
					if err != nil {
						refused++
						continue
					}
					_, _ = collect(t.Context(), m, question)
					m.Close()
				}
			}
		}
	}
	t.Logf("%d files, %d refusals", tried, refused)
	if refused < tried/4 {
		t.Error("too few are refused for a test of hostile files")
	}
}

func TestAnotherProjectorInTheSamePlaceHasAnotherIdentity(t *testing.T) {
	_, projector := gemma3.make(t)
	identity := func(ctx context.Context) (string, error) {
		e, err := libmtmd.Open(ctx, projector, libmtmd.Options{})
		if err != nil {
			return "", err
		}
		return e.Info().Identity, e.Close()
	}
	before, err := identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(projector)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1 // a weight, by one bit
	if err := os.WriteFile(projector, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if after, err := identity(t.Context()); err != nil || after == before {
		t.Errorf("%s, then %s (%v)", before, after, err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := identity(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
}

func TestALanguageModelStaysOpenForItsEncoder(t *testing.T) {
	m, _, _ := openFamily(t, &gemma3, EncoderMtmd)
	if err := m.lc.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.lm.Close(); !errors.Is(err, llama.ErrInUse) {
		t.Errorf("with the encoder open: %v, want ErrInUse", err)
	}
}
