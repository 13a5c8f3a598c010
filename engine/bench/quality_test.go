package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

// quantized writes a model in another mixture.
func quantized(t *testing.T, name string) string {
	t.Helper()
	f, err := gguf.Open(seedModel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := llama.Init(); err != nil {
		t.Fatal(err)
	}
	kind, err := llama.ParseFileType(name)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), name+".gguf")
	if _, err := quantize.Language(t.Context(), f, out, llama.QuantizeParams{Type: kind,
		AllowRequantize: true}); err != nil {
		t.Fatal(err)
	}
	return out
}

func sampleText(t *testing.T) string {
	t.Helper()
	set, err := BuiltinQuestions()
	if err != nil {
		t.Fatal(err)
	}
	return set.Text()
}

// measureText compares a model with a base over a text.
func measureText(t *testing.T, base, model, text string,
	windows int) (ofBase, ofModel *Distribution) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "base.bin")
	err := OnThread(func() error {
		for _, m := range []string{base, model} {
			lm, err := llama.LoadModel(t.Context(), m, llama.ModelParams{})
			if err != nil {
				return err
			}
			defer lm.Close()
			d, _, err := textQuality(t.Context(), lm, text, path, m == base && ofBase == nil, "f16",
				2, windows, func(int, int) {})
			if err != nil {
				return err
			}
			if ofBase == nil {
				ofBase = d
			} else {
				ofModel = d
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ofBase, ofModel
}

// withoutAccelerator lets models that are opened in a test compute as libllama alone does.
func withoutAccelerator(t *testing.T) {
	ggml.EnableAccelerator(false)
	t.Cleanup(func() { ggml.EnableAccelerator(true) })
}

// TestPerplexityAndDivergenceAreLlamaPerplexitys holds every figure to the program's own, to the
// last of the six digits behind the point that it prints, or three of those in per cent. It
// computes in float32 what we do in float64: that is the millionth that is allowed on top.
func TestPerplexityAndDivergenceAreLlamaPerplexitys(t *testing.T) {
	peers.Require(t, "llama-perplexity")
	withoutAccelerator(t) // which the program has not
	text := sampleText(t)
	const windows = 4
	model := quantized(t, "Q2_K") // which diverges in all digits
	base, d := measureText(t, seedModel, model, text, windows)
	printed := newPerplexityPrint(t, seedModel, model, text, windows)
	a := d.Against
	printed.equals("Final estimate: PPL =", 4, base.Perplexity, 0)
	printed.equals("Mean PPL(Q)", 6, d.Perplexity, d.PerplexityError)
	printed.equals("Mean PPL(base)", 6, a.BasePerplexity, a.BasePerplexityError)
	printed.equals("Cor(ln(PPL(Q)), ln(PPL(base)))", 2, 100*a.Correlation, 0)
	printed.equals("Mean ln(PPL(Q)/PPL(base))", 6, a.LnRatio, a.LnRatioError)
	printed.equals("Mean PPL(Q)/PPL(base)", 6, a.PerplexityRatio, a.PerplexityRatioError)
	printed.equals("Mean KLD", 6, a.KLMean, a.KLMeanError)
	for i, row := range []string{"Median KLD", "90.0% KLD", "95.0% KLD", "99.0% KLD", "99.9% KLD",
		"Maximum KLD"} {
		q := a.KLQuantiles[i]
		printed.slack = math.Ldexp(float64(d.Tokens), -24) * (q.High - q.Low)
		printed.equals(row, 6, q.Value, 0)
	}
	printed.slack = 0
	printed.equals("Mean \u0394p", 3, 100*a.PChange, 100*a.PChangeError)
	printed.equals("RMS \u0394p", 3, 100*a.PChangeRMS, 100*a.PChangeRMSError)
	printed.equals("Same top p", 3, 100*a.SameTop, 100*a.SameTopError)
}

// perplexityPrint is what llama-perplexity prints of a model beside a base.
type perplexityPrint struct {
	t     *testing.T
	text  string
	slack float64 // that a rank in float32 leaves between two neighbours
}

// newPerplexityPrint runs the program over windows of a text, one at a time, as we do: the last
// digits depend on the shape of batches.
func newPerplexityPrint(t *testing.T, base, model, text string, windows int) *perplexityPrint {
	t.Helper()
	dir := t.TempDir()
	file, logits := writeTo(t, dir, "text.txt", text), filepath.Join(dir, "logits")
	// The program sometimes ends before the last lines of its log are out.
	run := func(last string, args ...string) (text string) {
		for range 10 {
			args := append(args, "-c", "512", "-b", "512", "--chunks", strconv.Itoa(windows), "-t",
				"2", "--kl-divergence-base", logits)
			cmd, err := peers.Command(t.Context(), "llama-perplexity", args...)
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.CombinedOutput()
			if text = string(out); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if strings.Contains(text, last) {
				break
			}
		}
		return text
	}
	first := run("Final estimate", "-m", base, "-f", file)
	second := run("Same top p:", "-m", model, "--kl-divergence")
	spaces := regexp.MustCompile(`[ \t]+`)
	return &perplexityPrint{t: t, text: spaces.ReplaceAllString(first+"\n"+second, " ")}
}

// equals compares a row's value, and its error if that is not 0, which are printed with so many
// digits behind the point.
func (p *perplexityPrint) equals(row string, digits int, value, err float64) {
	p.t.Helper()
	m := regexp.MustCompile(regexp.QuoteMeta(row) +
		` ?:? (-?[\d.]+)(?: ?%)?(?: (?:±|\+/-) ([\d.]+))?`).FindStringSubmatch(p.text)
	if m == nil {
		p.t.Fatalf("no %q in %s", row, p.text)
	}
	for i, ours := range []float64{value, err} {
		if i == 1 && err == 0 {
			continue
		}
		theirs, fault := strconv.ParseFloat(m[1+i], 64)
		if fault != nil {
			p.t.Fatalf("%s: %q", row, m)
		}
		p.t.Logf("%s: %.8f, llama-perplexity %.*f", row, ours, digits, theirs)
		if !(math.Abs(ours-theirs) <= 1.01*math.Pow10(-digits)+1e-6*math.Abs(theirs)+p.slack) {
			p.t.Errorf("%s: %v, llama-perplexity says %s", row, ours, m[1+i])
		}
	}
}

func writeTo(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheBaseItselfDoesNotDiverge(t *testing.T) {
	_, d := measureText(t, seedModel, seedModel, sampleText(t), 2)
	if a := d.Against; a == nil || a.KLMax > 1e-3 || a.SameTop < 0.999 || d.Tokens != 2*255 {
		t.Errorf("%+v, %+v", d, a)
	}
}

func TestTextsAndBasesThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	err := OnThread(func() error {
		lm, err := llama.LoadModel(t.Context(), seedModel, llama.ModelParams{})
		if err != nil {
			return err
		}
		defer lm.Close()
		none := func(int, int) {}
		if _, _, err := textQuality(t.Context(), lm, "too short", filepath.Join(dir, "x"), true,
			"f16", 1, 0, none); !errors.Is(err, engine.ErrRequest) || !strings.Contains(err.Error(),
			"give a longer text") {
			t.Errorf("a short text: %v", err)
		}
		if _, _, err := textQuality(t.Context(), lm, sampleText(t), filepath.Join(dir, "x"), false,
			"f16", 1, 2, none); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(),
			"base") {
			t.Errorf("a missing base: %v", err)
		}
		if _, _, err := textQuality(t.Context(), lm, sampleText(t),
			writeTo(t, dir, "y", "nonsense"), false, "f16", 1, 2, none); err == nil ||
			!strings.Contains(err.Error(), "measure the base again") {
			t.Errorf("a damaged base: %v", err)
		}
		if _, _, err := textQuality(t.Context(), lm, sampleText(t), filepath.Join(dir, "z"), true,
			"f16", 1, 2, none); err != nil {
			t.Error(err)
		}
		if _, _, err := textQuality(t.Context(), lm, "another text. "+sampleText(t),
			filepath.Join(dir, "z"), false, "f16", 1, 2, none); !errors.Is(err, errOtherText) {
			t.Errorf("a base of another text: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := textQuality(ctx, lm, sampleText(t), filepath.Join(dir, "q"), true, "f16", 1,
			2, none); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "q")); err == nil {
		t.Error("half a base was written")
	}
}

func TestDistributionsInSixteenBits(t *testing.T) {
	logits := []float32{3, 1, -2, -40}
	var d distribution
	d.setLogits(logits)
	_, log := logSum(logits)
	for i, want := range []float64{-log, -2 - log, -5 - log, -16 - log} {
		if got := d.log(llama.Token(i)); math.Abs(got-want) > 2e-4 {
			t.Errorf("token %d: %v, want %v", i, got, want)
		}
	}
	var c comparison
	other := []float32{1, 3, -2, 0}
	if err := c.add(other, &d, 1); err != nil {
		t.Fatal(err)
	}
	p, q := softmax(logits), softmax(other)
	want := 0.0
	for i := range p {
		want += p[i] * math.Log(p[i]/q[i])
	}
	if math.Abs(c.kl[0]-want) > 1e-3*want || c.same[0] != 0 ||
		math.Abs(c.nll[0]+math.Log(q[1])) > 1e-6 {
		t.Errorf("%+v; KL %v", c, want)
	}
	flat := []float32{2, 2}
	d.setLogits(flat)
	if math.Abs(d.log(1)+math.Ln2) > 1e-6 {
		t.Errorf("of equal logits: %v", d.log(1))
	}
	if c.add(flat, &distribution{codes: make([]uint16, 3)}, 0) == nil ||
		c.add(flat, nil, 2) == nil || c.add([]float32{float32(math.NaN()), 0}, nil, 0) == nil {
		t.Error("vocabularies, tokens or logits that do not fit are taken")
	}
}

func softmax(logits []float32) []float64 {
	largest, log := logSum(logits)
	p := make([]float64, len(logits))
	for i, x := range logits {
		p[i] = math.Exp(float64(x-largest) - log)
	}
	return p
}

func TestScoresOfAnswers(t *testing.T) {
	for _, c := range []struct {
		said, right     string
		exact, f1, anls float64
	}{
		{"Orange.", "orange", 1, 1, 1},
		{"a red  circle", "red circle", 0, 1, 1 - 2.0/12},
		{"a red ring on a pink background", "a red circle on a pink background", 0, 0.8,
			1 - 5.0/33},
		{"yes", "no", 0, 0, 0},
		{"", "", 1, 1, 1},
		{"46660", "46640", 0, 0, 0.8},
	} {
		if e, f, a := exactMatch(c.said, c.right), f1(c.said, c.right),
			anls(c.said, c.right); e != c.exact || math.Abs(f-c.f1) > 1e-9 ||
			math.Abs(a-c.anls) > 1e-9 {
			t.Errorf("%q for %q: exact %v, F1 %v, ANLS %v; want %+v", c.said, c.right, e, f, a, c)
		}
	}
	if best(exactMatch, "two", []string{"2", "two"}) != 1 {
		t.Error("the second right answer does not count")
	}
}

func TestBootstrapCoversTheMean(t *testing.T) {
	var values []float64
	for i := range 100 {
		values = append(values, float64(i%4/3)) // a quarter is 1
	}
	b := bootstrap(values)
	if b.Mean != 0.25 || b.N != 100 || b.Low < 0.14 || b.Low > 0.2 || b.High < 0.3 ||
		b.High > 0.36 {
		t.Errorf("%+v", b) // 0.25 +- 1.96·sqrt(0.25·0.75/100) is 0.165 to 0.335
	}
	if one := bootstrap([]float64{1}); one.Low != 1 || one.High != 1 {
		t.Errorf("%+v", one)
	}
}

func TestQuestionSets(t *testing.T) {
	set, err := BuiltinQuestions()
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Questions) != 400 || set.Questions[0].Kind != "shapes" ||
		len(set.Questions[0].Answers) != 1 {
		t.Errorf("%d questions, %+v", len(set.Questions), set.Questions[0])
	}
	a, b := set.Sample(20, 1), set.Sample(20, 1)
	if len(a.Questions) != 20 || fmt.Sprint(a.Questions) != fmt.Sprint(b.Questions) ||
		fmt.Sprint(a.Questions) == fmt.Sprint(set.Sample(20, 2).Questions) {
		t.Error("samples")
	}
	if data, err := set.Read(set.Questions[0].Picture); err != nil ||
		!bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	writeTo(t, dir, "a.png", "x")
	good := `{"picture": "a.png", "question": "What?", "answers": ["this", "that"]}`
	path := writeTo(t, dir, "questions.jsonl", good+"\n\n")
	for _, name := range []string{dir, path} {
		set, err := OpenQuestions(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Questions) != 1 || len(set.Questions[0].Answers) != 2 {
			t.Errorf("%+v", set.Questions)
		}
		set.Close()
	}
	for line, text := range map[string]string{
		`{"picture": "a.png", "question": "What?"`:                               "line 2",
		`{"picture": "a.png", "answers": ["x"]}`:                                 `"question" is missing`,
		`{"picture": "a.png", "question": "What?"}`:                              `"answers" is missing`,
		`{"picture": "../../etc/passwd", "question": "What?", "answers": ["x"]}`: "below the file's folder",
		`{"picture": "/etc/passwd", "question": "What?", "answers": ["x"]}`:      "below the file's folder",
		`{"picture": "b.png", "question": "What?", "answers": ["x"]}`:            "no picture b.png",
		`[1, 2]`: "line 2",
	} {
		if _, err := OpenQuestions(writeTo(t, dir, "bad.jsonl", good+"\n"+line)); !errors.Is(err,
			ErrQuestions) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := OpenQuestions(writeTo(t, dir, "empty.jsonl", "\n")); !errors.Is(err,
		ErrQuestions) {
		t.Errorf("no question: %v", err)
	}
	if _, err := OpenQuestions(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzQuestions(f *testing.F) {
	f.Add([]byte(`{"picture": "a.png", "question": "What?", "answers": ["this", "that"]}`))
	f.Add([]byte(`{"picture": "a.png", "question": "What?", "answer": "this"}` + "\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseQuestions(bytes.NewReader(data))
		if (err == nil) != (len(list) > 0) || err != nil && !errors.Is(err, ErrQuestions) &&
			!errors.Is(err, io.EOF) {
			t.Fatalf("%d questions, %v", len(list), err)
		}
	})
}
