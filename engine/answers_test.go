package engine

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// golden is what the built-in model's PyTorch original answers greedily, in float32 on the same
// (dequantized) weights; written by scripts/golden/seed_answers.py.
type golden struct {
	Cases []struct {
		Picture   string
		Questions []string
		Answers   []string
		Tokens    [][]Token
		Margins   []float64 // least distance of the two best logits in each answer
	}
}

func goldens(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("../models/builtin/testdata/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) < 20 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	return g
}

func TestAnswersAreThoseOfThePyTorchModel(t *testing.T) {
	m := open(t)
	compared, near, differ := 0, 0, 0
	for _, c := range goldens(t).Cases {
		var messages []Message
		for i, q := range c.Questions {
			if i == 0 {
				// the golden's prompt has a space after the picture
				messages = append(messages, User(Picture(picture(t, c.Picture)), Text(" "+q)))
			} else {
				messages = append(messages, User(Text(q)))
			}
			a := mustAsk(t, m, Request{Messages: messages, MaxTokens: 100})
			want := slices.Clone(c.Tokens[i])
			if n := len(want); n > 0 && want[n-1] == m.lm.Vocab().EOS() {
				want = want[:n-1]
			}
			same := slices.Equal(a.tokens, want)
			switch {
			case c.Margins[i] >= flipLogits:
				compared++
				if !same {
					t.Errorf("%s %q: %q, want %q (margin %.2f)", c.Picture, q, a.text, c.Answers[i],
						c.Margins[i])
				}
			default:
				near++
				if !same {
					differ++
				}
			}
			messages = append(messages, Assistant(c.Answers[i]))
		}
	}
	t.Logf("%d answers compared; of %d with near ties %d differ", compared, near, differ)
	if compared < 20 || differ*2 > near {
		t.Errorf("too few answers agree: %d compared, %d of %d near ties differ", compared, differ,
			near)
	}
}

func TestAFollowUpComputesOnlyWhatIsNew(t *testing.T) {
	m := open(t)
	first := User(Picture(picture(t, "shape-4.png")), Text("What color is the background?"))
	a := mustAsk(t, m, Request{Messages: []Message{first}})
	if strings.TrimSpace(a.text) != "cyan" || a.Usage.Cached != 0 || a.Usage.Image != 64 ||
		a.Timings.Encode == 0 {
		t.Fatalf("first: %q %+v", a.text, a.Result)
	}
	messages := []Message{first, Assistant("cyan"), User(Text("What color is the circle?"))}
	b := mustAsk(t, m, Request{Messages: messages})
	if strings.TrimSpace(b.text) != "orange" || b.Timings.Encode != 0 ||
		b.Usage.Cached < a.Usage.Prompt-2 {
		t.Errorf("follow-up: %q %+v, want orange, without an encode", b.text, b.Result)
	}
	c := mustAsk(t, m, Request{Messages: messages, Fresh: true})
	if c.text != b.text || c.Usage.Cached != 0 {
		t.Errorf("fresh: %q %+v", c.text, c.Result)
	}
	other := []Message{User(Picture(picture(t, "shape-2.png")),
		Text("What color is the background?"))}
	if d := mustAsk(t, m, Request{Messages: other}); strings.TrimSpace(d.text) != "pink" ||
		d.Timings.Encode == 0 {
		t.Errorf("another picture in the same place: %q %+v", d.text, d.Result)
	}
}

func TestTwoPicturesInOneMessage(t *testing.T) {
	m := open(t)
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
		Picture(picture(t, "shape-2.png")), Text("What color is the background?"))}}
	if a := mustAsk(t, m, r); a.Usage.Image != 128 {
		t.Errorf("%+v", a.Usage)
	}
}

func TestTemperatureZeroAndSeedsRepeat(t *testing.T) {
	m := open(t)
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
		Text("Describe the image."))}, MaxTokens: 24, Fresh: true}
	a, b := mustAsk(t, m, r), mustAsk(t, m, r)
	if !slices.Equal(a.tokens, b.tokens) {
		t.Errorf("greedy: %v, then %v", a.tokens, b.tokens)
	}
	seed := uint32(7)
	r.Sampling = Sampling{Temperature: 2.5, Seed: &seed}
	a, b = mustAsk(t, m, r), mustAsk(t, m, r)
	if !slices.Equal(a.tokens, b.tokens) || a.Seed != 7 {
		t.Errorf("seed 7: %v, then %v (seed %d)", a.tokens, b.tokens, a.Seed)
	}
	r.Sampling.Seed = nil
	a = mustAsk(t, m, r)
	r.Sampling.Seed = &a.Seed
	if b = mustAsk(t, m, r); !slices.Equal(a.tokens, b.tokens) {
		t.Errorf("seed %d as reported: %v, then %v", a.Seed, a.tokens, b.tokens)
	}
	different := false
	for range 5 {
		r.Sampling.Seed = nil
		different = different || !slices.Equal(mustAsk(t, m, r).tokens, a.tokens)
	}
	if !different {
		t.Error("six random seeds drew the same answer")
	}
}
