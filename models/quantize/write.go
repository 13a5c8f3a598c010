package quantize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// quantizationVersion is GGML_QNT_VERSION of ggml.h.
const quantizationVersion = 2

// The keys that tell how a file was quantized.
const (
	keyVersion  = "general.quantization_version"
	keyFileType = "general.file_type"
)

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

// Write writes the file that the plan describes: all of it or nothing. When ctx is done it stops
// with ctx's error.
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
	w.Set(keyVersion, uint32(quantizationVersion))
	if n, ok := fileType(p.Type); ok {
		w.Set(keyFileType, n)
	}
	for _, kv := range p.Keys {
		w.Set(kv.Key, kv.Value)
	}
	p.addTensors(ctx, w, o, p.Importance)
	return w
}

// addTensors adds the tensors of the plan, which are converted when they are written. importance
// may be nil, or have that of single tensors.
func (p *Plan) addTensors(ctx context.Context, w *gguf.Writer, o WriteOptions,
	importance map[string][]float32) {
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	for i, plan := range p.Tensors {
		t, _ := p.File.Tensor(plan.source())
		w.AddTensorFunc(plan.Name, plan.To, t.Dims, func(out io.Writer) error {
			if o.Progress != nil {
				o.Progress(i+1, len(p.Tensors), plan.Name)
			}
			return convert(ctx, t, plan.To, importance[plan.source()], threads, out)
		})
	}
}

// fileType is the number of llama_ftype that says "mostly this type".
func fileType(t gguf.Type) (uint32, bool) {
	n, ok := map[gguf.Type]uint32{
		gguf.F32: 0, gguf.F16: 1, gguf.BF16: 32, gguf.Q4_0: 2, gguf.Q4_1: 3, gguf.Q8_0: 7,
		gguf.Q5_0: 8, gguf.Q5_1: 9, gguf.Q2_K: 10, gguf.Q3_K: 11,
		gguf.Q4_K: 14, gguf.Q5_K: 16, gguf.Q6_K: 18, gguf.IQ4_NL: 25,
	}[t]
	return n, ok
}

// Sum returns the size and the checksum of a file.
func Sum(ctx context.Context, path string) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, contextReader(ctx, f))
	if err != nil {
		return nil, fmt.Errorf("quantize: %s: %w", path, err)
	}
	return &Result{Path: path, Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// CheckSpace tells beforehand that a file of so many bytes will not fit where path lies. The error
// wraps syscall.ENOSPC. It is nil where the system does not tell.
func CheckSpace(path string, bytes int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &s); err != nil {
		return nil
	}
	if free := int64(s.Bavail) * int64(s.Bsize); free >= 0 && bytes > free {
		return fmt.Errorf("quantize: %s: %w: it takes %d MB and %d MB are free", path,
			syscall.ENOSPC, bytes/1e6+1, free/1e6)
	}
	return nil
}
