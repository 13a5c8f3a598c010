package quantize

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/kernels/quants"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// pieceElements is about how many elements a core converts at a time: source, floats and result of
// a piece stay in a core's cache.
const pieceElements = 1 << 16

// converter converts a tensor piece by piece. Pieces are whole rows of one matrix of a stack.
type converter struct {
	t          *gguf.Tensor
	to         gguf.Type
	importance []float32 // of the columns of each matrix; nil for none
	row, rows  int       // elements of a row, rows of a matrix
	rowBytes   int64
	buffers    sync.Pool // of *pieceBuffers
}

// pieceBuffers are what a piece takes.
type pieceBuffers struct {
	in, out []byte
	values  []float32
}

// piece is a result, in its place among the others.
type piece struct {
	b   *pieceBuffers
	n   int // bytes of b.out
	err error
}

// convert writes a tensor in another type. Pieces are converted side by side on all threads, and
// written in order. The source is read and not mapped, so that memory holds the pieces under way
// and nothing else.
func convert(ctx context.Context, t *gguf.Tensor, to gguf.Type, importance []float32, threads int,
	out io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.Type == to {
		_, err := io.Copy(out, contextReader(ctx, t.Reader()))
		return err
	}
	if err := ggml.Load(); err != nil { // tables of conversion are made by it
		return err
	}
	c := &converter{t: t, to: to, importance: importance, row: rowLength(t), rows: 1}
	if len(t.Dims) > 1 {
		c.rows = int(t.Dims[1])
	}
	if t.Elements() == 0 {
		return nil
	}
	c.rowBytes = size(t.Type, uint64(c.row))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	pending := make(chan chan piece, 2*threads)
	go c.start(ctx, pending, threads)
	var fault error
	for result := range pending { // to the end, so that no piece outlives the file
		p := <-result
		if fault == nil {
			fault = p.err
		}
		if fault == nil {
			_, fault = out.Write(p.b.out[:p.n])
		}
		if fault != nil {
			stop()
		}
		if p.b != nil {
			c.buffers.Put(p.b)
		}
	}
	if fault == nil {
		fault = ctx.Err()
	}
	return fault
}

// start starts the pieces in order, as many at a time as there are threads, and closes pending
// after the last.
func (c *converter) start(ctx context.Context, pending chan<- chan piece, threads int) {
	defer close(pending)
	slots := make(chan struct{}, threads)
	perPiece := max(1, pieceElements/c.row)
	matrices := int(c.t.Elements()) / c.row / c.rows
	for m := range matrices {
		for first := 0; first < c.rows; first += perPiece {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			result := make(chan piece, 1)
			go func() {
				defer func() { <-slots }()
				result <- c.piece(m, first, min(perPiece, c.rows-first))
			}()
			pending <- result
		}
	}
}

// piece converts n rows of matrix m.
func (c *converter) piece(m, first, n int) piece {
	b, ok := c.buffers.Get().(*pieceBuffers)
	if !ok {
		b = new(pieceBuffers)
	}
	outBytes := int(size(c.to, uint64(n*c.row)))
	b.in, b.out, b.values = grown(b.in, n*int(c.rowBytes)), grown(b.out, outBytes),
		grown(b.values, n*c.row)
	if _, err := c.t.Reader().ReadAt(b.in, int64(m*c.rows+first)*c.rowBytes); err != nil {
		return piece{err: err}
	}
	var weights []float32
	if len(c.importance) > 0 {
		weights = c.importance[m*c.row : (m+1)*c.row]
	}
	return piece{b: b, n: outBytes, err: convertRows(c.t.Type, c.to, b.in, c.row, weights, b.out,
		b.values)}
}

// grown returns a slice of n elements, b's if there is room.
func grown[T any](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n)
	}
	return b[:n]
}

// convertRows converts whole rows; values has room for them as floats.
func convertRows(from, to gguf.Type, data []byte, row int, importance []float32, out []byte,
	values []float32) error {
	if importance == nil && quants.Supported(ggml.Type(from), ggml.Type(to)) &&
		quants.Convert(ggml.Type(from), data, ggml.Type(to), out, values) {
		return nil
	}
	if err := ggml.Dequantize(ggml.Type(from), data, values); err != nil {
		return err
	}
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("element %d of a row is %v", i%row, v)
		}
		// halfway from F16's largest value to the next
		if to == gguf.F16 && math.Abs(float64(v)) >= 65520 {
			return fmt.Errorf("it holds %g, which does not fit F16; give BF16", v)
		}
	}
	return ggml.Quantize(ggml.Type(to), values, row, importance, out)
}

// contextReader reads until ctx is done.
func contextReader(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(b)
	})
}
