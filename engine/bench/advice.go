package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/eyelet-engine/eyelet/engine"
)

// Wish is what matters most to whoever asks for advice.
type Wish string

// The wishes.
const (
	Fast     Wish = "fast"     // the shortest time to an answer
	Faithful Wish = "faithful" // the least divergence from the base
	Small    Wish = "small"    // the smallest files
)

// Wishes are all of them.
var Wishes = []Wish{Faithful, Fast, Small}

// usable is the KL divergence, in nats, above which fast and small combinations are not advised
// while another will do: answers begin to differ from the base's in what they say.
const usable = 0.1

// negligible is the KL divergence, in nats, below which a combination is as good as the base: that
// of a good Q8_0 file, whose answers are the base's but where two tokens are as good as equal.
const negligible = 0.001

// answerTokens is the length of the answer by which speeds are told.
const answerTokens = 100

// Advice is a combination of a matrix, with the measured reasons for it. It is the document of
// "eyelet advise --json".
type Advice struct {
	Wish        Wish    `json:"wish"`
	MemoryLimit int64   `json:"memory_limit_bytes"`
	Model       string  `json:"model"`
	Projector   string  `json:"projector,omitempty"`
	KV          string  `json:"kv"`
	Threads     int     `json:"threads"`
	Batch       int     `json:"batch"`
	Files       int64   `json:"file_bytes"`
	Memory      int64   `json:"memory_bytes"`
	Estimated   bool    `json:"memory_estimated"` // of the files, since no speed was measured
	KL          float64 `json:"kl_mean"`          // 0 of the base
	KLError     float64 `json:"kl_mean_error"`
	// to the end of an answer of 100 tokens about a photo
	Seconds float64  `json:"answer_seconds,omitempty"`
	Reasons []string `json:"reasons"`
}

// candidate is a cell with what decides.
type candidate struct {
	c         *Cell
	memory    int64
	estimated bool
	files     int64
	kl, e     float64
	low, high float64 // the 95 % interval of the median of the divergence; 0 of the base
	seconds   float64 // 0 if it was not measured
}

// Advise chooses the combination of r that keeps within so many bytes of memory and serves a wish
// best. Where several are as good, as far as was measured, the smallest of them is taken, and the
// reasons say so. It is an error if none keeps within the memory, or none was measured.
func Advise(r *Results, memory int64, wish Wish) (*Advice, error) {
	if !slices.Contains(Wishes, wish) {
		return nil, fmt.Errorf("%w: a wish for %q", engine.ErrRequest, wish)
	}
	all := r.candidates(wish)
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: the results do not say what the wish %q is chosen by",
			engine.ErrRequest, wish)
	}
	fit := slices.DeleteFunc(slices.Clone(all), func(x candidate) bool { return x.memory > memory })
	if len(fit) == 0 {
		least := slices.MinFunc(all, func(a, b candidate) int {
			return cmp.Compare(a.memory, b.memory)
		})
		return nil, fmt.Errorf("%w: no combination keeps within %s; the least takes %s: %s",
			engine.ErrRequest, mebibytes(memory), mebibytes(least.memory), least.c.QualityKey())
	}
	chosen, why := choose(fit, wish, r.betweenRuns())
	a := &Advice{Wish: wish, MemoryLimit: memory, Model: chosen.c.Model,
		Projector: chosen.c.Projector, KV: chosen.c.KV, Threads: chosen.c.Threads,
		Batch: chosen.c.Batch,
		Files: chosen.files, Memory: chosen.memory, Estimated: chosen.estimated, KL: chosen.kl,
		KLError: chosen.e, Seconds: chosen.seconds}
	a.Reasons = append(chosen.reasons(r, memory), why...)
	if n := len(all) - len(fit); n > 0 {
		a.Reasons = append(a.Reasons,
			fmt.Sprintf("%d of %d combinations take more memory than that", n, len(all)))
	}
	return a, nil
}

// candidates are the cells that a wish can choose from.
func (r *Results) candidates(wish Wish) (list []candidate) {
	for i := range r.Cells {
		c := &r.Cells[i]
		q := r.Quality(c)
		if q == nil {
			continue
		}
		x := candidate{c: c, files: r.Bytes(c)}
		d := q.AfterImage
		if d == nil {
			d = q.Text
		}
		switch isBase := c.Model == r.Setup.BaseModel && c.Projector == r.Setup.BaseProjector &&
			c.KV == r.Setup.BaseKV; {
		case d != nil && d.Against != nil:
			x.kl, x.e = max(d.Against.KLMean, 0), d.Against.KLMeanError
			x.low, x.high = d.Against.KLMedian, d.Against.KLMedian // of results without intervals
			if q := d.Against.KLQuantiles; len(q) > 0 && q[0].Share == 0.5 {
				x.low, x.high = q[0].Low, q[0].High
			}
		case !isBase:
			continue
		}
		if s := c.Speed; s != nil && s.PeakBytes > 0 {
			x.memory = s.PeakBytes
			x.seconds = answerTokens / s.TG128.Median
			if s.TTFTMS != nil {
				x.seconds += s.TTFTMS.Median / 1000
			}
		} else {
			// weights, and a quarter for packed towers, cache and scratch
			x.memory, x.estimated = x.files+x.files/4, true
		}
		if wish != Fast || x.seconds > 0 {
			list = append(list, x)
		}
	}
	return list
}

// betweenRuns is the share by which the time to an answer differs from run to run.
func (r *Results) betweenRuns() float64 {
	s := spreadOfRuns("", samplesOf(r, speedFigures[1]))
	return s.StdDev
}

// choose takes the best, and of those that cannot be told from it the one with the smallest files;
// why names them.
func choose(list []candidate, wish Wish, spread float64) (chosen candidate, why []string) {
	if wish != Faithful {
		good := slices.DeleteFunc(slices.Clone(list), func(x candidate) bool {
			return x.kl > usable
		})
		if len(good) == 0 {
			wish, why = Faithful,
				append(why, fmt.Sprintf("no combination keeps its divergence below %g, so the closest to the base is taken", usable))
		} else {
			list = good
		}
	}
	cost := map[Wish]func(candidate) float64{
		Faithful: func(x candidate) float64 {
			return x.kl
		}, Fast: func(x candidate) float64 {
			return x.seconds
		}, Small: func(x candidate) float64 { return float64(x.files) },
	}[wish]
	byCost := func(a, b candidate) int {
		return cmp.Or(cmp.Compare(cost(a), cost(b)), cmp.Compare(a.files, b.files))
	}
	best := slices.MinFunc(list, byCost)
	if wish == Small {
		return best, why
	}
	// Of sizes nothing is uncertain; divergences have errors, times the spread between runs.
	alike := slices.DeleteFunc(slices.Clone(list), func(x candidate) bool {
		if wish == Faithful {
			return !x.asFaithful(best)
		}
		return x.seconds > best.seconds*(1+ci95*math.Sqrt2*spread)
	})
	bySize := func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.files, b.files), cmp.Compare(a.kl, b.kl))
	}
	byKL := func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.kl, b.kl), cmp.Compare(a.files, b.files))
	}
	if chosen = slices.MinFunc(alike, bySize); wish == Fast {
		chosen = slices.MinFunc(alike, byKL)
	}
	if chosen.c == best.c {
		return chosen, why
	}
	switch {
	case wish == Faithful && chosen.isNegligible():
		why = append(why, fmt.Sprintf("%s is closer by %.2g nats, but below %g nobody can tell; this one is smaller",
			best.c.QualityKey(), chosen.kl-best.kl, negligible))
	case wish == Faithful:
		why = append(why, fmt.Sprintf("%s is closer by %.2g nats, which is less than the error of the difference, %.2g; this one is smaller",
			best.c.QualityKey(), chosen.kl-best.kl, chosen.errorBeside(best)))
	default:
		why = append(why, fmt.Sprintf("%s answers %.1f %% sooner, which is less than runs differ by, %.1f %%; this one is closer to the base", best.c.QualityKey(), 100*(1-best.seconds/chosen.seconds), 100*ci95*math.Sqrt2*spread))
	}
	return chosen, why
}

// isNegligible reports whether a divergence is negligible, its error included.
func (x candidate) isNegligible() bool { return x.kl+ci95*x.e < negligible }

// errorBeside is the error of the difference of two mean divergences.
func (x candidate) errorBeside(best candidate) float64 { return ci95 * math.Hypot(x.e, best.e) }

// asFaithful reports whether a combination cannot be told from the closest one. A few places with
// large divergences make the mean's error large; where medians lie apart, it is no excuse.
func (x candidate) asFaithful(best candidate) bool {
	return x.isNegligible() || x.kl-best.kl <= x.errorBeside(best) && x.low <= best.high
}

// reasons tells what was measured of a combination.
func (x *candidate) reasons(r *Results, memory int64) (list []string) {
	how := "at most, measured"
	if x.estimated {
		how = "by the size of its files; no speed was measured"
	}
	list = append(list, fmt.Sprintf("takes %s of %s (%s); its files are %s", mebibytes(x.memory),
		mebibytes(memory), how, mebibytes(x.files)))
	q := r.Quality(x.c)
	where, d := "after a picture", q.AfterImage
	if d == nil {
		where, d = "over the text", q.Text
	}
	if d.Against == nil {
		list = append(list, "it is the base that all others are compared with")
	} else {
		list = append(list, fmt.Sprintf("its next-token distributions are %.2g ± %.1g nats from the base's %s, and %.1f %% of its most probable tokens are the base's", x.kl, x.e, where, 100*d.Against.SameTop))
	}
	if a := q.Answers; a != nil && a.SameAsBase != nil {
		list = append(list, fmt.Sprintf("%.0f %% of its answers are the base's to the letter",
			100*a.SameAsBase.Mean))
	}
	if x.seconds > 0 {
		list = append(list, fmt.Sprintf("an answer of %d tokens takes %.2g s", answerTokens,
			x.seconds))
	}
	return list
}

func mebibytes(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
