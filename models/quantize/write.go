package quantize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// quantizationVersion is GGML_QNT_VERSION of ggml.h.
const quantizationVersion = 2

// chunk is about how many elements a core converts at a time.
const chunk = 1 << 18

// WriteOptions are the choices in writing a plan.
type WriteOptions struct {
	Threads int // 0 means GOMAXPROCS
	// Progress, if not nil, is called as each tensor is begun.
	Progress func(done, total int, tensor string)
}

// Result is a file that was written.
type Result struct {
	Path   string
	Bytes  int64
	SHA256 string // in hexadecimal
}

// Write writes the file that the plan describes: all of it or nothing. When ctx is done it stops with ctx's error.
func (p *Plan) Write(ctx context.Context, path string, o WriteOptions) (*Result, error) {
	if err := CheckSpace(path, p.Bytes()); err != nil {
		return nil, err
	}
	if err := p.writer(ctx, o).WriteFile(path); err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	return Sum(ctx, path)
}

// Memory makes the same file in memory, for measuring what it computes.
func (p *Plan) Memory(ctx context.Context, threads int) (*gguf.File, error) {
	data, err := p.writer(ctx, WriteOptions{Threads: threads}).Bytes()
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	return gguf.Parse(data, p.File.Path())
}

func (p *Plan) writer(ctx context.Context, o WriteOptions) *gguf.Writer {
	w := new(gguf.Writer)
	for _, kv := range p.File.Keys() {
		if !strings.HasPrefix(kv.Key, "split.") { // the result is one file
			w.Set(kv.Key, kv.Value)
		}
	}
	w.Set("general.quantization_version", uint32(quantizationVersion))
	if n, ok := fileType(p.Type); ok {
		w.Set("general.file_type", n)
	}
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	for i, plan := range p.Tensors {
		t, _ := p.File.Tensor(plan.Name)
		w.AddTensorFunc(plan.Name, plan.To, t.Dims, func(out io.Writer) error {
			if o.Progress != nil {
				o.Progress(i+1, len(p.Tensors), plan.Name)
			}
			return convert(ctx, t, plan.To, threads, out)
		})
	}
	return w
}

// fileType is the number of llama_ftype that says "mostly this type".
func fileType(t gguf.Type) (uint32, bool) {
	n, ok := map[gguf.Type]uint32{
		gguf.F32: 0, gguf.F16: 1, gguf.BF16: 32, gguf.Q4_0: 2, gguf.Q4_1: 3, gguf.Q8_0: 7, gguf.Q5_0: 8, gguf.Q5_1: 9, gguf.Q2_K: 10, gguf.Q3_K: 11,
		gguf.Q4_K: 14, gguf.Q5_K: 16, gguf.Q6_K: 18, gguf.IQ4_NL: 25,
	}[t]
	return n, ok
}

// convert writes a tensor in another type, chunks of rows side by side on all threads and in order.
func convert(ctx context.Context, t *gguf.Tensor, to gguf.Type, threads int, out io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data := t.Data()
	if t.Type == to {
		_, err := out.Write(data)
		return err
	}
	row := 1
	if len(t.Dims) > 0 {
		row = int(t.Dims[0])
	}
	if row == 0 || t.Elements() == 0 {
		return nil
	}
	rows := int(t.Elements()) / row
	perChunk := max(1, chunk/row)
	rowBytes := int(size(t.Type, uint64(row)))
	results, faults := make([][]byte, threads), make([]error, threads)
	for first := 0; first < rows; first += threads * perChunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		var wait sync.WaitGroup
		for k := range threads {
			from := min(first+k*perChunk, rows)
			to1 := min(from+perChunk, rows)
			results[k], faults[k] = nil, nil
			if from == to1 {
				continue
			}
			wait.Go(func() { results[k], faults[k] = convertRows(t.Type, to, data[from*rowBytes:to1*rowBytes], row) })
		}
		wait.Wait()
		for k := range threads {
			if faults[k] != nil {
				return faults[k]
			}
			if _, err := out.Write(results[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// convertRows converts whole rows.
func convertRows(from, to gguf.Type, data []byte, row int) ([]byte, error) {
	if err := ggml.Load(); err != nil { // tables of conversion are made by it
		return nil, err
	}
	n := len(data) / from.TypeSize() * from.BlockSize()
	values := make([]float32, n)
	if err := ggml.Dequantize(ggml.Type(from), data, values); err != nil {
		return nil, err
	}
	for i, v := range values {
		if v-v != 0 {
			return nil, fmt.Errorf("element %d of a row is %v", i%row, v)
		}
		if to == gguf.F16 && math.Abs(float64(v)) >= 65520 { // halfway from F16's largest value to the next
			return nil, fmt.Errorf("it holds %g, which does not fit F16; give BF16", v)
		}
	}
	out := make([]byte, size(to, uint64(n)))
	return out, ggml.Quantize(ggml.Type(to), values, row, nil, out)
}

// Sum returns the size and the checksum of a file.
func Sum(ctx context.Context, path string) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, readerFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return f.Read(b)
	}))
	if err != nil {
		return nil, fmt.Errorf("quantize: %s: %w", path, err)
	}
	return &Result{Path: path, Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// CheckSpace tells beforehand that a file of so many bytes will not fit where path lies. The error wraps syscall.ENOSPC. It is nil where
// the system does not tell.
func CheckSpace(path string, bytes int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &s); err != nil {
		return nil
	}
	if free := int64(s.Bavail) * int64(s.Bsize); free >= 0 && bytes > free {
		return fmt.Errorf("quantize: %s: %w: it takes %d MB and %d MB are free", path, syscall.ENOSPC, bytes/1e6+1, free/1e6)
	}
	return nil
}
