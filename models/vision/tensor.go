package vision

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"runtime"
	"sync"

	"github.com/eyelet-engine/eyelet/kernels/ref"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// loader reads tensors and keeps the first error, so that loading reads as a list
// of what there is.
type loader struct {
	file    *gguf.File
	sum     hash.Hash
	digests digests
	err     error
}

// newLoader returns a loader of a file's tensors. implementation names what runs them
// and its precision; it goes into the identity.
func newLoader(f *gguf.File, opt Options, implementation string) *loader {
	l := &loader{file: f, sum: sha256.New()}
	fmt.Fprintf(l.sum, "%s\n", implementation)
	return l
}

// addMetadata adds the description to the identity.
func (l *loader) addMetadata(d *description) { fmt.Fprintf(l.sum, "%+v\n", *d) }

// identity returns the hash of what a walk has read: see [Info].
func (l *loader) identity() string {
	for _, d := range l.digests.wait() {
		l.sum.Write(d[:])
	}
	return hex.EncodeToString(l.sum.Sum(nil))
}

// digests hashes tensors while others are read, each by itself, so that the cores
// share the work: a real tower is several hundred megabytes.
type digests struct {
	list    []*[sha256.Size]byte
	running sync.WaitGroup
	slots   chan struct{}
}

func (d *digests) add(data []byte) {
	if d.slots == nil {
		d.slots = make(chan struct{}, runtime.GOMAXPROCS(0))
	}
	digest := new([sha256.Size]byte)
	d.list = append(d.list, digest)
	d.slots <- struct{}{}
	d.running.Go(func() {
		*digest = sha256.Sum256(data)
		<-d.slots
	})
}

func (d *digests) wait() []*[sha256.Size]byte {
	d.running.Wait()
	return d.list
}

// has tells whether the file has a tensor.
func (l *loader) has(name string) bool {
	_, ok := l.file.Tensor(name)
	return ok
}

// outputs returns the number of rows of a weight matrix, for widths that only the
// tensors tell; of columns where it is stored transposed.
func (l *loader) outputs(name string, transposed bool) int {
	if t, ok := l.file.Tensor(name); ok && (len(t.Dims) == 2 || len(t.Dims) == 4) {
		n := t.Dims[len(t.Dims)-1]
		if transposed {
			n = t.Dims[0]
		}
		if n >= 1 && n <= math.MaxInt32 {
			return int(n)
		}
	}
	return 1 // the tensor's own check will name what is wrong
}

func (l *loader) linear(name string, out, in int, bias bool) linear {
	w := linear{weight: l.matrix(name+".weight", out, in), source: l.source(name + ".weight")}
	if bias {
		w.bias = l.vector(name+".bias", out)
	}
	return w
}

// norm reads a norm of n numbers; RMS norms have no bias.
func (l *loader) norm(name string, n int, kind normKind) *norm {
	w := &norm{gain: l.vector(name+".weight", n)}
	if kind == layerNorm {
		w.bias = l.vector(name+".bias", n)
	}
	return w
}

// plainNorm is an RMS norm without weights.
func plainNorm(n int) norm {
	gain := make([]float32, n)
	for i := range gain {
		gain[i] = 1
	}
	return norm{gain: gain}
}

// matrix reads a rows x cols matrix. Its dimensions in the file, fastest first, are
// cols and rows unless given.
func (l *loader) matrix(name string, rows, cols int, dims ...int) matrix {
	if len(dims) == 0 {
		dims = []int{cols, rows}
	}
	data := l.tensor(name, dims...)
	if l.err != nil {
		return matrix{}
	}
	return ref.MatrixOf(rows, cols, data)
}

func (l *loader) vector(name string, n int) []float32 { return l.tensor(name, n) }

// tensor reads a tensor as float32 and adds it to the identity.
func (l *loader) tensor(name string, dims ...int) []float32 {
	if l.err != nil {
		return nil
	}
	values, err := l.read(name, dims)
	if err != nil {
		l.err = fmt.Errorf("vision: tensor %s: %w", name, err)
	}
	return values
}

func (l *loader) read(name string, dims []int) ([]float32, error) {
	t, ok := l.file.Tensor(name)
	if !ok {
		return nil, errors.New("missing")
	}
	if !sameDims(t.Dims, dims) {
		return nil, fmt.Errorf("dimensions %v, want %v", t.Dims, dims)
	}
	convert := converters[t.Type]
	if convert == nil {
		convert = ggmlConverter(t.Type)
	}
	data := t.Data()
	fmt.Fprintf(l.sum, "%s %v %v\n", name, t.Type, t.Dims)
	l.digests.add(data)
	values := make([]float32, t.Elements())
	if err := convertAll(convert, t.Type, data, values); err != nil {
		return nil, err
	}
	return values, nil
}

// sameDims compares dimensions; trailing ones may be missing, or too many.
func sameDims(got []uint64, want []int) bool {
	for i := range max(len(got), len(want)) {
		have, wanted := uint64(1), uint64(1)
		if i < len(got) {
			have = got[i]
		}
		if i < len(want) {
			wanted = uint64(want[i])
		}
		if have != wanted {
			return false
		}
	}
	return true
}
