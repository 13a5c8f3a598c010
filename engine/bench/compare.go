package bench

import (
	"cmp"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Comparison says what changed between two runs of a matrix. It is the document of "eyelet bench
// compare --json".
type Comparison struct {
	Changes []Change `json:"changes"` // beyond noise
	Same    int      `json:"same"`    // figures that did not change beyond noise
	OnlyA   []string `json:"only_a"`  // cells that only one of both has
	OnlyB   []string `json:"only_b"`
	// what else differs between the runs: machine, versions, settings
	Notes []string `json:"notes"`
	// BetweenRuns is what speeds and times are compared by: how far each differs from one process
	// to the next.
	BetweenRuns []RunSpread `json:"between_runs"`
}

// Change is a figure that changed beyond noise.
type Change struct {
	Cell   string  `json:"cell"`
	Figure string  `json:"figure"`
	A      float64 `json:"a"`
	B      float64 `json:"b"`
	Ratio  float64 `json:"ratio"` // B over A
	Better bool    `json:"better"`
	// probability of such a difference by chance; 0 for figures without noise
	P float64 `json:"p"`
}

// The bounds of what counts as a change: the probability of it by chance, and the share of a speed
// or of memory that the same program on the same machine differs by from run to run.
const (
	chance = 0.01
	jitter = 0.02
	ci95   = 1.959964 // standard errors in half a 95 % interval
)

// comparer collects changes.
type comparer struct {
	c       *Comparison
	cell    string
	spreads map[string]RunSpread // by figure
}

// speedFigure is a speed or a time that is compared.
type speedFigure struct {
	name         string
	moreIsBetter bool
	// one of llama-bench's tests, which cells that differ in their projector share
	tokens bool
	of     func(*Speed) *Sample
}

var speedFigures = []speedFigure{
	{"pp512, tokens/s", true, true, func(s *Speed) *Sample { return s.PP512 }},
	{"tg128, tokens/s", true, true, func(s *Speed) *Sample { return s.TG128 }},
	{"TTFT, ms", false, false, func(s *Speed) *Sample { return s.TTFTMS }},
	{"encode, ms", false, false, func(s *Speed) *Sample { return s.EncodeMS }},
	{"prefill, ms", false, false, func(s *Speed) *Sample { return s.PrefillMS }},
}

// Compare says what changed from a to b beyond noise: speeds and times by how far runs of the same
// differ, see [RunSpread], qualities by the standard errors of their means, with a probability
// below one in a hundred; speeds, times and memory must differ by 2 % as well.
func Compare(a, b *Results) *Comparison {
	c := &comparer{c: &Comparison{Changes: []Change{}, OnlyA: []string{}, OnlyB: []string{},
		Notes: notes(a, b), BetweenRuns: []RunSpread{}}, spreads: map[string]RunSpread{}}
	for _, f := range speedFigures {
		if all := append(samplesOf(a, f), samplesOf(b, f)...); len(all) > 0 {
			c.spreads[f.name] = spreadOfRuns(f.name, all)
			c.c.BetweenRuns = append(c.c.BetweenRuns, c.spreads[f.name])
		}
	}
	theirs := map[string]*Cell{}
	for i := range b.Cells {
		theirs[b.Cells[i].Name()] = &b.Cells[i]
	}
	seen := map[string]bool{}
	for i := range a.Cells {
		x := &a.Cells[i]
		y := theirs[x.Name()]
		if y == nil {
			c.c.OnlyA = append(c.c.OnlyA, x.Name())
			continue
		}
		delete(theirs, x.Name())
		c.cell = x.Name()
		c.speeds(x.Speed, y.Speed)
		if key := x.QualityKey(); !seen[key] {
			seen[key] = true
			c.cell = key
			c.exact("size of the files, MiB", float64(a.Bytes(x))/mebibyte,
				float64(b.Bytes(y))/mebibyte, 0)
			c.qualities(a.Quality(x), b.Quality(y))
		}
	}
	for i := range b.Cells {
		if theirs[b.Cells[i].Name()] != nil {
			c.c.OnlyB = append(c.c.OnlyB, b.Cells[i].Name())
		}
	}
	return c.c
}

// notes tells what differs between the runs themselves.
func notes(a, b *Results) (list []string) {
	list = []string{}
	for _, x := range []struct{ what, a, b string }{
		{"processor", a.Host.CPU, b.Host.CPU}, {"system", a.Host.System, b.Host.System},
		{"eyelet", a.Host.Eyelet, b.Host.Eyelet},
		{"libllama", a.Host.Llama, b.Host.Llama}, {"libggml", a.Host.GGML, b.Host.GGML},
		{"oneDNN", a.Host.OneDNN, b.Host.OneDNN}, {"Go", a.Host.Go, b.Host.Go},
		{"text", a.Setup.TextSHA256, b.Setup.TextSHA256}, {"questions", a.Setup.QuestionsSHA,
			b.Setup.QuestionsSHA},
		{"RPC servers", cmp.Or(a.Setup.RPC, "none"), cmp.Or(b.Setup.RPC, "none")},
		{"base", a.Setup.BaseModel + " " + a.Setup.BaseProjector + " " + a.Setup.BaseKV,
			b.Setup.BaseModel + " " + b.Setup.BaseProjector + " " + b.Setup.BaseKV},
		{"accelerator", cmp.Or(a.Host.Accelerator, b.Host.Accelerator), cmp.Or(b.Host.Accelerator,
			a.Host.Accelerator)},
	} {
		if x.a != x.b {
			list = append(list, fmt.Sprintf("%s: %s in A, %s in B", x.what, x.a, x.b))
		}
	}
	return list
}

func (c *comparer) speeds(a, b *Speed) {
	if a == nil || b == nil {
		return
	}
	for _, f := range speedFigures {
		x, y := f.of(a), f.of(b)
		if x == nil || y == nil || f.tokens && a.TokensOf != "" && b.TokensOf != "" ||
			x.Mean <= 0 || y.Mean <= 0 {
			continue
		}
		spread := c.spreads[f.name]
		c.decide(f.name, x.Mean, y.Mean, spread.chanceOf(x, y), jitter, f.moreIsBetter)
	}
	c.exact("peak memory, MiB", float64(a.PeakBytes)/mebibyte, float64(b.PeakBytes)/mebibyte,
		jitter)
}

const mebibyte = 1 << 20

// samplesOf are those of all cells that were measured, each once.
func samplesOf(r *Results, f speedFigure) (list []*Sample) {
	for i := range r.Cells {
		if s := r.Cells[i].Speed; s != nil && f.of(s) != nil && !(f.tokens && s.TokensOf != "") {
			list = append(list, f.of(s))
		}
	}
	return list
}

// exact compares figures without noise; they must differ by a share.
func (c *comparer) exact(figure string, a, b, share float64) {
	if a > 0 && b > 0 {
		c.decide(figure, a, b, 0, share, false)
	}
}

// normal compares means by their standard errors.
func (c *comparer) normal(figure string, a, b, ea, eb float64, moreIsBetter bool) {
	p := 0.0
	if e := math.Hypot(ea, eb); e > 0 {
		p = 2 * distuv.UnitNormal.Survival(math.Abs(a-b)/e)
	}
	c.decide(figure, a, b, p, 0, moreIsBetter)
}

func (c *comparer) decide(figure string, a, b, p, share float64, moreIsBetter bool) {
	if p >= chance || math.Abs(a-b) <= share*math.Max(math.Abs(a), math.Abs(b)) {
		c.c.Same++
		return
	}
	change := Change{Cell: c.cell, Figure: figure, A: a, B: b, Better: (b > a) == moreIsBetter,
		P: p}
	if a != 0 {
		change.Ratio = b / a
	}
	c.c.Changes = append(c.c.Changes, change)
}

func (c *comparer) qualities(a, b *Quality) {
	if a == nil || b == nil {
		return
	}
	c.distributions("over the text", a.Text, b.Text)
	c.distributions("after a picture", a.AfterImage, b.AfterImage)
	if a.Answers != nil && b.Answers != nil {
		for _, x := range []struct {
			name string
			a, b Interval
		}{{"exact answers", a.Answers.Exact, b.Answers.Exact}, {"F1 of answers", a.Answers.F1,
			b.Answers.F1}, {"ANLS of answers", a.Answers.ANLS, b.Answers.ANLS}} {
			c.normal(x.name, x.a.Mean, x.b.Mean, (x.a.High-x.a.Low)/2/ci95,
				(x.b.High-x.b.Low)/2/ci95, true)
		}
	}
}

func (c *comparer) distributions(where string, a, b *Distribution) {
	if a == nil || b == nil {
		return
	}
	c.normal("perplexity "+where, a.Perplexity, b.Perplexity, a.PerplexityError, b.PerplexityError,
		false)
	if a.Against != nil && b.Against != nil {
		c.normal("KL divergence "+where, a.Against.KLMean, b.Against.KLMean, a.Against.KLMeanError,
			b.Against.KLMeanError, false)
		c.normal("same most probable token "+where, a.Against.SameTop, b.Against.SameTop,
			a.Against.SameTopError, b.Against.SameTopError, true)
	}
}
