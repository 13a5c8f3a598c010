// Package imatrix reads and writes importance matrices: how large the inputs of each matrix of a
// language model are, column by column, in the mean of their squares over a text. Quantizers spend
// their bits on the columns that matter.
//
// Files are those of llama.cpp's llama-imatrix: GGUF with tensors NAME.in_sum2 and NAME.counts,
// since 0.7 NAME.in_sum and NAME.stats too, or, read only, the older binary format
// (tools/imatrix/imatrix.cpp).
package imatrix

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// ErrInvalid marks a file that is no importance matrix, or a damaged one.
var ErrInvalid = errors.New("not an importance matrix")

// The bounds of a file, in bytes, and of what one of the older format may claim.
const (
	maxFile    = 1 << 30
	maxEntries = 1 << 16
	maxName    = 1 << 10
	maxValues  = 1 << 26
)

// The suffixes of tensors and the keys of metadata in a file.
const (
	suffixSums   = ".in_sum2"
	suffixCounts = ".counts"
	suffixValues = ".in_sum"
	suffixStats  = ".stats"
	keyType      = "general.type"
	keyDatasets  = "imatrix.datasets"
	keyChunks    = "imatrix.chunk_count"
	keyChunkSize = "imatrix.chunk_size"
	keySchema    = "imatrix.stats_schema"
)

// Matrix is what was collected over a text.
type Matrix struct {
	Datasets  []string         // names of the texts
	Chunks    int              // portions of text that were run
	ChunkSize int              // tokens a portion
	Entries   map[string]*Sums // by name of the weight, as "blk.0.attn_q.weight"
}

// Sums are those of the inputs of one matrix, or of several of one shape (experts).
type Sums struct {
	Squares []float32 // sum of x² of each column, matrix after matrix
	Values  []float32 // sum of x, in the same order; nil where a file has none
	Counts  []float32 // rows that were added, one for each matrix
}

// Columns is the number of columns of each matrix.
func (s *Sums) Columns() int { return len(s.Squares) / len(s.Counts) }

// check wants finite sums that are not negative, of whole matrices.
func (s *Sums) check() error {
	if len(s.Counts) == 0 || len(s.Squares) == 0 || len(s.Squares)%len(s.Counts) != 0 {
		return fmt.Errorf("%d sums of %d matrices", len(s.Squares), len(s.Counts))
	}
	for _, values := range [][]float32{s.Squares, s.Counts} {
		for i, v := range values {
			if !(v >= 0) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("value %d is %v", i, v)
			}
		}
	}
	if s.Values != nil && len(s.Values) != len(s.Squares) {
		return fmt.Errorf("%d sums of values, %d of squares", len(s.Values), len(s.Squares))
	}
	for i, v := range s.Values {
		if v-v != 0 {
			return fmt.Errorf("the sum of column %d is %v", i, v)
		}
	}
	return nil
}

// Weights returns the importance of each column, the mean of the squares, by name of the weight.
// Matrices that saw nothing (experts that no token chose) count all columns alike.
func (m *Matrix) Weights() map[string][]float32 {
	out := make(map[string][]float32, len(m.Entries))
	for name, s := range m.Entries {
		columns := s.Columns()
		w := make([]float32, len(s.Squares))
		for i, square := range s.Squares {
			if n := s.Counts[i/columns]; n > 0 {
				w[i] = square / n
			} else {
				w[i] = 1
			}
		}
		out[name] = w
	}
	return out
}

// Open reads a file of either format. Errors wrap ErrInvalid, or say why the file could not be
// read.
func Open(path string) (*Matrix, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("imatrix: %s: %w: it is larger than %d bytes", path, ErrInvalid,
			maxFile)
	}
	m, err := Parse(data, path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %s: %w", path, err)
	}
	return m, nil
}

// Parse reads a file in memory; name stands for it in errors.
func Parse(data []byte, name string) (*Matrix, error) {
	var m *Matrix
	var err error
	if bytes.HasPrefix(data, []byte("GGUF")) {
		m, err = parseGGUF(data, name)
	} else {
		m, err = parseLegacy(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(m.Entries) == 0 {
		return nil, fmt.Errorf("%w: it has no entries", ErrInvalid)
	}
	for name, s := range m.Entries {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
		}
	}
	return m, nil
}

func parseGGUF(data []byte, name string) (*Matrix, error) {
	f, err := gguf.Parse(data, name)
	if err != nil {
		return nil, err
	}
	if kind, _ := f.Str(keyType); kind != "imatrix" {
		return nil, fmt.Errorf("%s is %q: it is a GGUF file of another kind", keyType, kind)
	}
	m := &Matrix{Entries: map[string]*Sums{}}
	m.Datasets, _ = f.Strings(keyDatasets)
	chunks, _ := f.Uint(keyChunks)
	size, _ := f.Uint(keyChunkSize)
	m.Chunks, m.ChunkSize = int(min(chunks, math.MaxInt32)), int(min(size, math.MaxInt32))
	for _, t := range f.Tensors() {
		weight, ok := strings.CutSuffix(t.Name, suffixSums)
		if !ok {
			continue
		}
		counts, ok := f.Tensor(weight + suffixCounts)
		if !ok || t.Type != gguf.F32 || counts.Type != gguf.F32 {
			return nil, fmt.Errorf("%s has no counts, or is not F32", t.Name)
		}
		s := &Sums{Squares: floatsOf(t.Data()), Counts: floatsOf(counts.Data())}
		if values, ok := f.Tensor(weight + suffixValues); ok && values.Type == gguf.F32 {
			s.Values = floatsOf(values.Data())
		}
		m.Entries[weight] = s
	}
	return m, nil
}

func floatsOf(data []byte) []float32 {
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

// parseLegacy reads the format of 2023: a count of entries; for each the length of its name, the
// name, the number of calls, the number of values, and as values the mean of squares times the
// calls. What follows (number of chunks, name of the text) is optional.
func parseLegacy(data []byte) (*Matrix, error) {
	r := &legacyReader{data: data}
	m := &Matrix{Entries: map[string]*Sums{}}
	entries := r.count(maxEntries)
	for i := 0; i < entries && r.err == nil; i++ {
		name := string(r.bytes(r.count(maxName)))
		calls := r.count(math.MaxInt32)
		values := floatsOf(r.bytes(4 * r.count(maxValues)))
		if r.err != nil {
			break
		}
		m.Entries[name] = &Sums{Squares: values, Counts: []float32{float32(cmp.Or(calls, 1))}}
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.data) >= 8 {
		m.Chunks = r.count(math.MaxInt32)
		m.Datasets = []string{string(r.bytes(min(r.count(maxName), len(r.data))))}
	}
	return m, nil
}

// legacyReader reads little-endian numbers until something is missing.
type legacyReader struct {
	data []byte
	err  error
}

func (r *legacyReader) bytes(n int) []byte {
	if r.err == nil && n > len(r.data) {
		r.err = errors.New("it is cut short, or of another format")
	}
	if r.err != nil {
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

// count reads an int32 from 0 to limit.
func (r *legacyReader) count(limit int) int {
	b := r.bytes(4)
	if r.err != nil {
		return 0
	}
	n := int32(binary.LittleEndian.Uint32(b))
	if n < 0 || int(n) > limit {
		r.err = fmt.Errorf("a count of %d", n)
		return 0
	}
	return int(n)
}

// WriteFile writes the matrix as GGUF, all of it or nothing.
func (m *Matrix) WriteFile(path string) error {
	w := new(gguf.Writer)
	w.Set(keyType, "imatrix")
	w.Set(keyDatasets, slices.Clone(m.Datasets))
	w.Set(keyChunks, uint32(m.Chunks))
	w.Set(keyChunkSize, uint32(m.ChunkSize))
	w.Set(keySchema, statisticNames)
	for _, name := range slices.Sorted(maps.Keys(m.Entries)) {
		s := m.Entries[name]
		if err := s.check(); err != nil {
			return fmt.Errorf("imatrix: %s: %w", name, err)
		}
		n := uint64(len(s.Counts))
		w.AddTensor(name+suffixSums, gguf.F32, shape(uint64(s.Columns()), n), floatBytes(s.Squares))
		w.AddTensor(name+suffixCounts, gguf.F32, shape(1, n), floatBytes(s.Counts))
		if s.Values != nil {
			w.AddTensor(name+suffixValues, gguf.F32, shape(uint64(s.Columns()), n),
				floatBytes(s.Values))
			w.AddTensor(name+suffixStats, gguf.F32, []uint64{uint64(len(statisticNames))},
				floatBytes(m.statistics(name)))
		}
	}
	if err := w.WriteFile(path); err != nil {
		return fmt.Errorf("imatrix: %w", err)
	}
	return nil
}

// shape leaves out that there is one matrix, as ggml does.
func shape(columns, matrices uint64) []uint64 {
	if matrices == 1 {
		return []uint64{columns}
	}
	return []uint64{columns, matrices}
}

func floatBytes(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
