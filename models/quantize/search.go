package quantize

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"slices"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Goal is what [Search] looks for: exactly one field is set.
type Goal struct {
	// the smallest file whose image tokens have at most this relative error
	// (vision.Difference.Relative)
	MaxError   float64
	TargetSize int64 // the least error in at most so many bytes
}

// SearchOptions are the choices in a search.
type SearchOptions struct {
	Goal
	Lowest  gguf.Type // no matrix is given fewer bits; F32, the zero value, means Q4_0
	Threads int
	// Importance and Keys are those of an importance matrix; see [Options].
	Importance map[string][]float32
	Keys       []gguf.KV
	// Progress, if not nil, is called with the share of the work that is done and what comes next.
	Progress func(done float64, next string)
}

// ladder are the types that a search tries, most bits first.
var ladder = []gguf.Type{gguf.F16, gguf.Q8_0, gguf.Q6_K, gguf.Q5_1, gguf.Q5_0, gguf.Q4_K, gguf.Q4_0,
	gguf.Q3_K, gguf.Q2_K}

// group is a part of a tower whose matrices get the same type: the attention or the feed-forward
// network of a block, or a layer of the projector.
type group struct {
	name    string
	tensors []*gguf.Tensor
	// squared error of the image tokens, for a squared relative error of the weights of 1
	sensitivity float64
	noise       []float64 // squared relative error of the weights, by rung of the ladder
	bytes       []int64   // by rung
	rung        int       // that is chosen
}

// searcher is a search under way.
type searcher struct {
	f           *gguf.File
	m           *Meter
	o           SearchOptions
	rungs       []gguf.Type
	groups      []*group
	done, total float64
}

// Search finds a type for each part of a tower. Each part is quantized alone, once, to see how much
// of the error of its weights arrives at the image tokens. Squared errors of different parts are
// taken to add up; parts go down the ladder of types, the step that costs least error for a byte
// first, until the goal is reached. A maximum error is then measured with all parts together, and
// the budget corrected.
func Search(ctx context.Context, f *gguf.File, m *Meter,
	o SearchOptions) (*Plan, vision.Difference, error) {
	s := &searcher{f: f, m: m, o: o}
	if err := s.prepare(); err != nil {
		return nil, vision.Difference{}, err
	}
	if err := s.sense(ctx); err != nil {
		return nil, vision.Difference{}, err
	}
	if o.TargetSize > 0 {
		return s.fit(ctx)
	}
	return s.bound(ctx)
}

func (s *searcher) prepare() error {
	o := &s.o
	if (o.MaxError > 0) == (o.TargetSize > 0) || !(o.MaxError < 1) || o.TargetSize < 0 {
		return fmt.Errorf("quantize: %w: give either a maximum error between 0 and 1 or a size",
			ErrOptions)
	}
	if o.Lowest == gguf.F32 {
		o.Lowest = gguf.Q4_0
	}
	for _, t := range ladder {
		if bits(t) >= bits(o.Lowest) {
			s.rungs = append(s.rungs, t)
		}
	}
	if len(s.rungs) < 2 {
		return fmt.Errorf("quantize: %w: nothing to choose from above %v", ErrOptions, o.Lowest)
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	byName := map[string]*group{}
	for _, t := range s.f.Tensors() {
		if !isBlockMatrix(t) && !isProjection(t) {
			continue
		}
		name := groupName(t.Name)
		g := byName[name]
		if g == nil {
			g = &group{name: name}
			byName[name], s.groups = g, append(s.groups, g)
		}
		g.tensors = append(g.tensors, t)
	}
	s.total = float64(2*len(s.groups) + 3)
	return nil
}

var (
	attentionName = regexp.MustCompile(`^(v\.blk\.\d+\.)attn_.*$`)
	feedName      = regexp.MustCompile(`^(v\.blk\.\d+\.)ffn_.*$`)
)

func groupName(tensor string) string {
	tensor = attentionName.ReplaceAllString(tensor, "${1}attention")
	return feedName.ReplaceAllString(tensor, "${1}feed-forward")
}

// step reports progress.
func (s *searcher) step(after float64, next string) {
	s.done += after
	if s.o.Progress != nil {
		s.o.Progress(min(s.done/s.total, 1), next)
	}
}

// sense measures each group: sizes and errors of its weights on each rung, and what the lowest rung
// alone does to the image tokens.
func (s *searcher) sense(ctx context.Context) error {
	lowest := len(s.rungs) - 1
	for _, g := range s.groups {
		s.step(0, "weights of "+g.name)
		if err := s.weigh(ctx, g); err != nil {
			return err
		}
		s.step(1, "effect of "+g.name)
		if g.noise[lowest] == 0 {
			s.step(1, "")
			continue
		}
		plan := s.plan(func(other *group) int {
			if other == g {
				return lowest
			}
			return 0
		})
		d, err := s.m.Measure(ctx, plan)
		if err != nil {
			return err
		}
		g.sensitivity = d.Relative * d.Relative / g.noise[lowest]
		s.step(1, "")
	}
	return nil
}

// weigh fills in noise and bytes of a group.
func (s *searcher) weigh(ctx context.Context, g *group) error {
	g.noise, g.bytes = make([]float64, len(s.rungs)), make([]int64, len(s.rungs))
	for i, rung := range s.rungs {
		var difference, norm float64
		for _, t := range g.tensors {
			if err := ctx.Err(); err != nil {
				return err
			}
			to := s.typeOf(t, rung)
			g.bytes[i] += size(to, t.Elements())
			d, n, err := weightError(t, to, s.o.Importance[t.Name], s.o.Threads)
			if err != nil {
				return fmt.Errorf("quantize: tensor %s: %w", t.Name, err)
			}
			difference, norm = difference+d, norm+n
		}
		if norm > 0 {
			g.noise[i] = difference / norm
		}
	}
	return nil
}

// typeOf is the type of a tensor on a rung: the first rung, and any that has more bits than the
// source, leaves it as it is.
func (s *searcher) typeOf(t *gguf.Tensor, rung gguf.Type) gguf.Type {
	to := Fallback(rung, t.Dims[0])
	if rung == s.rungs[0] && t.Type != gguf.F32 || bits(to) >= bits(t.Type) {
		return t.Type
	}
	return to
}

// weightError returns the squared distance of a tensor's elements from what they become, and their
// squared norm.
func weightError(t *gguf.Tensor, to gguf.Type, importance []float32,
	threads int) (difference, norm float64, err error) {
	row := int(t.Dims[0])
	rows := int(t.Elements()) / row
	perChunk := max(1, pieceElements/row)
	rowBytes := int(size(t.Type, uint64(row)))
	var mu sync.Mutex
	var wait sync.WaitGroup
	cores := make(chan struct{}, threads)
	for first := 0; first < rows; first += perChunk {
		data := t.Data()[first*rowBytes : min(first+perChunk, rows)*rowBytes]
		cores <- struct{}{}
		wait.Go(func() {
			defer func() { <-cores }()
			d, n, e := chunkError(t.Type, to, data, row, importance)
			mu.Lock()
			defer mu.Unlock()
			difference, norm, err = difference+d, norm+n, cmp.Or(err, e)
		})
	}
	wait.Wait()
	return difference, norm, err
}

func chunkError(from, to gguf.Type, data []byte, row int,
	importance []float32) (difference, norm float64, err error) {
	n := len(data) / from.TypeSize() * from.BlockSize()
	before, after, codes := make([]float32, n), make([]float32, n),
		make([]byte, size(to, uint64(n)))
	if err := convertRows(from, to, data, row, importance, codes, after); err != nil {
		return 0, 0, err
	}
	if err := ggml.Dequantize(ggml.Type(from), data, before); err != nil {
		return 0, 0, err
	}
	if err := ggml.Dequantize(ggml.Type(to), codes, after); err != nil {
		return 0, 0, err
	}
	for i, x := range before {
		d := float64(x) - float64(after[i])
		difference, norm = difference+d*d, norm+float64(x)*float64(x)
	}
	return difference, norm, nil
}

// plan gives each group the rung that choose tells.
func (s *searcher) plan(choose func(*group) int) *Plan {
	to := map[string]gguf.Type{}
	count := map[gguf.Type]int64{}
	for _, g := range s.groups {
		for _, t := range g.tensors {
			to[t.Name] = s.typeOf(t, s.rungs[choose(g)])
			count[to[t.Name]] += int64(t.Elements())
		}
	}
	p := &Plan{File: s.f, Importance: s.o.Importance, Keys: s.o.Keys}
	for t, n := range count { // the file's type is that of most weights
		if n > count[p.Type] || n == count[p.Type] && t < p.Type {
			p.Type = t
		}
	}
	for _, t := range s.f.Tensors() {
		plan := TensorPlan{Name: t.Name, From: t.Type, To: t.Type, Elements: t.Elements()}
		if want, ok := to[t.Name]; ok {
			plan.To = want
		}
		p.Tensors = append(p.Tensors, plan)
	}
	return p
}

func (s *searcher) chosen() *Plan { return s.plan(func(g *group) int { return g.rung }) }

// descend takes the steps down that cost the least squared error for a byte, until enough says so
// or none is left within the budget of squared error.
func (s *searcher) descend(budget float64, enough func() bool) {
	for _, g := range s.groups {
		g.rung = 0
	}
	spent := 0.0
	for !enough() {
		var best *group
		rung, least := 0, math.Inf(1)
		for _, g := range s.groups {
			for i := g.rung + 1; i < len(s.rungs); i++ {
				saved := g.bytes[g.rung] - g.bytes[i]
				cost := max(g.sensitivity*(g.noise[i]-g.noise[g.rung]), 0)
				if saved > 0 && spent+cost <= budget && cost/float64(saved) < least {
					best, rung, least = g, i, cost/float64(saved)
				}
			}
		}
		if best == nil {
			return
		}
		spent += max(best.sensitivity*(best.noise[rung]-best.noise[best.rung]), 0)
		best.rung = rung
	}
}

// fit keeps within a size.
func (s *searcher) fit(ctx context.Context) (*Plan, vision.Difference, error) {
	overhead := s.f.Size()
	for _, t := range s.f.Tensors() {
		overhead -= t.Size()
	}
	bytes := func() int64 { return s.chosen().Bytes() + overhead }
	s.descend(math.Inf(1), func() bool { return bytes() <= s.o.TargetSize })
	if n := bytes(); n > s.o.TargetSize {
		return nil, vision.Difference{},
			fmt.Errorf("quantize: %w: %v in all matrices makes %d bytes, and not %d; allow fewer bits, or a larger file", ErrShape, s.o.Lowest, n, s.o.TargetSize)
	}
	s.step(0, "the whole")
	d, err := s.m.Measure(ctx, s.chosen())
	return s.chosen(), d, err
}

// maxTries bounds how often a budget is corrected.
const maxTries = 8

// bound keeps within an error: the budget of squared error that the parts may make together is
// corrected by what they make when measured together, between the largest budget that kept the
// error and the least that did not.
func (s *searcher) bound(ctx context.Context) (
	best *Plan, difference vision.Difference, err error) {
	budget, kept, broken := s.o.MaxError*s.o.MaxError, 0.0, math.Inf(1)
	s.total += maxTries
	for try := range maxTries {
		if try == maxTries-1 && best == nil {
			budget = 0
		}
		s.descend(budget, func() bool { return false })
		plan := s.chosen()
		s.step(1, "the whole")
		d, err := s.m.Measure(ctx, plan)
		if err != nil {
			return nil, d, err
		}
		if d.Relative <= s.o.MaxError {
			kept = max(kept, budget)
			if best == nil || plan.Bytes() < best.Bytes() {
				best, difference = plan, d
			}
			if d.Relative > 0.95*s.o.MaxError || s.lowest() {
				break
			}
		} else {
			broken = min(broken, budget)
		}
		ratio := s.o.MaxError / max(d.Relative, s.o.MaxError/10)
		budget *= ratio * ratio
		if !(budget > kept && budget < broken) {
			budget = math.Sqrt(kept * broken)
		}
	}
	if best == nil {
		return nil, difference, fmt.Errorf("quantize: %w: an error of %g is not to be had",
			ErrOptions, s.o.MaxError)
	}
	return best, difference, nil
}

// lowest reports whether nothing can be made smaller.
func (s *searcher) lowest() bool {
	return !slices.ContainsFunc(s.groups, func(g *group) bool {
		return g.bytes[g.rung] > slices.Min(g.bytes)
	})
}
