package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/kernels/nn"
)

// Limit is how fast this machine multiplies matrices of a tower's shapes in a precision: the best
// of several runs of oneDNN's own product over all threads.
type Limit struct {
	Precision string `json:"precision"`
	// the processor lacks such products; the limit is that of f32, in which they are carried out
	Emulated bool    `json:"emulated"`
	GFLOPS   float64 `json:"gflops"` // GFLOP/s of the fastest shape
	Shapes   []Shape `json:"shapes"`
}

// Shape is one product of a transformer block: m x k by k x n.
type Shape struct {
	Name   string  `json:"name"` // "qkv", "out", "up" or "down"
	M      int     `json:"m"`
	N      int     `json:"n"`
	K      int     `json:"k"`
	GFLOPS float64 `json:"gflops"` // GFLOP/s of the fastest run
}

// limiter measures a Limit.
type limiter struct {
	limit    Limit
	products []*product
	threads  int
}

// product is one planned product with its operands.
type product struct {
	m                          *onednn.Matmul
	src, weights, dst, scratch *onednn.Buffer
}

func (p *product) close() {
	for _, b := range []*onednn.Buffer{p.src, p.weights, p.dst, p.scratch} {
		b.Close()
	}
	p.m.Close()
}

// ProductRate returns how fast this machine multiplies matrices of a shape in a precision: the
// GFLOP/s of the best of several runs of oneDNN's own product over all threads.
func ProductRate(ctx context.Context, s Shape, precision nn.Precision, threads,
	runs int) (float64, error) {
	l, err := planLimiter([]Shape{s}, precision, threads)
	if err != nil {
		return 0, err
	}
	defer l.close()
	err = l.measure(ctx, runs)
	return l.limit.GFLOPS, err
}

// newLimiter plans the products of a block.
func newLimiter(w work, precision nn.Precision, threads int) (*limiter, error) {
	return planLimiter([]Shape{
		{Name: "qkv", M: w.Rows, N: 3 * w.hidden, K: w.hidden},
		{Name: "out", M: w.Rows, N: w.hidden, K: w.hidden},
		{Name: "up", M: w.Rows, N: w.FF, K: w.hidden}, {Name: "down", M: w.Rows, N: w.hidden,
			K: w.FF},
	}, precision, threads)
}

func planLimiter(shapes []Shape, precision nn.Precision, threads int) (*limiter, error) {
	l := &limiter{limit: Limit{Precision: precision.String(), Emulated: !precision.Native()},
		threads: threads}
	types := [3]onednn.Type{onednn.F32, onednn.F32, onednn.F32}
	switch {
	case precision == nn.Int8, precision == nn.Int16 && precision.Native():
		types = [3]onednn.Type{onednn.U8, onednn.S8, onednn.S32}
	case precision == nn.BF16 && precision.Native():
		types = [3]onednn.Type{onednn.BF16, onednn.BF16, onednn.F32}
	}
	for _, s := range shapes {
		p, err := newProduct(onednn.MatmulDesc{M: s.M, N: s.N, K: s.K, Src: types[0],
			Weights: types[1], Dst: types[2]}, threads)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("bench: the limit in %v: %w", precision, err)
		}
		l.products, l.limit.Shapes = append(l.products, p), append(l.limit.Shapes, s)
	}
	return l, nil
}

func newProduct(d onednn.MatmulDesc, threads int) (p *product, err error) {
	p = &product{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.m, err = onednn.NewThreadedMatmul(d, threads); err != nil {
		return p, err
	}
	for _, b := range []struct {
		dst  **onednn.Buffer
		size int
	}{
		{&p.src, d.M * d.K * d.Src.Size()}, {&p.weights, p.m.PackedBytes()},
		{&p.dst, d.M * d.N * d.Dst.Size()}, {&p.scratch, p.m.ScratchBytes()},
	} {
		if *b.dst, err = onednn.Alloc(b.size); err != nil {
			return p, err
		}
	}
	fill(p.src, d.Src)
	from := onednn.F32
	if d.Weights == onednn.S8 {
		from = onednn.S8
	}
	plain, err := onednn.Alloc(d.N * d.K * from.Size())
	if err != nil {
		return p, err
	}
	defer plain.Close()
	fill(plain, from)
	packer, err := p.m.NewPacker(from, 1, d.K, 1)
	if err != nil {
		return p, err
	}
	defer packer.Close()
	scratch, err := onednn.Alloc(packer.ScratchBytes())
	if err != nil {
		return p, err
	}
	defer scratch.Close()
	return p, packer.Run(0, plain.Pointer(), p.weights.Pointer(), scratch)
}

// fill writes numbers of about 1 that differ from each other.
func fill(b *onednn.Buffer, t onednn.Type) {
	state := uint32(1)
	next := func() uint32 {
		state = state*1664525 + 1013904223 // Knuth's and Lewis's generator, from Numerical Recipes
		return state >> 16
	}
	switch t {
	case onednn.F32:
		for i, v := 0, b.Float32(); i < len(v); i++ {
			v[i] = float32(next())/(1<<15) - 1
		}
	case onednn.BF16:
		for i, v := 0, b.Bytes(); i+1 < len(v); i += 2 {
			v[i], v[i+1] = byte(next()), 0x3f // 0.5 to 2, of either half of the exponent
		}
	default:
		for i, v := 0, b.Bytes(); i < len(v); i++ {
			v[i] = byte(next()) & 0x3f
		}
	}
}

// measure runs each product a few times and keeps the fastest.
func (l *limiter) measure(ctx context.Context, repeats int) error {
	for i, p := range l.products {
		s := &l.limit.Shapes[i]
		for range repeats {
			if err := ctx.Err(); err != nil {
				return err
			}
			start := time.Now()
			if err := p.m.Run(p.src, p.weights, nil, p.dst, p.scratch, l.threads); err != nil {
				return err
			}
			rate := 2 * float64(s.M) * float64(s.N) * float64(s.K) / time.Since(start).Seconds() /
				1e9
			s.GFLOPS = max(s.GFLOPS, rate)
		}
		l.limit.GFLOPS = max(l.limit.GFLOPS, s.GFLOPS)
	}
	return nil
}

func (l *limiter) close() {
	for _, p := range l.products {
		p.close()
	}
	l.products = nil
}

// limitsOf makes a limiter for each precision, once.
func limitsOf(w work, contestants []*contestant, threads int) (list []*limiter, err error) {
	seen := map[nn.Precision]bool{}
	for _, c := range contestants {
		if c.backend != "native" || seen[c.precision] {
			continue
		}
		seen[c.precision] = true
		l, limitErr := newLimiter(w, c.precision, threads)
		if errors.Is(limitErr, onednn.ErrUnsupported) {
			continue // there is nothing to compare with
		}
		if limitErr != nil {
			for _, l := range list {
				l.close()
			}
			return nil, limitErr
		}
		list = append(list, l)
	}
	return list, nil
}
