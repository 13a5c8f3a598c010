package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/stat"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// rowsFile is a file of the image tokens of pictures: a GGUF file with a matrix for each, named by
// its number.
type rowsFile struct {
	f     *gguf.File
	width int
}

// openRows opens a file of image tokens of a width.
func openRows(path string, width int) (*rowsFile, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf(
			"bench: the image tokens: %w; measure the projector again", err)
	}
	r := &rowsFile{f: f, width: width}
	if n, _ := f.Uint("rows.width"); n != uint64(width) {
		f.Close()
		return nil, fmt.Errorf("bench: image tokens are %d wide, and %d are wanted: model and projector do not belong together", n, width)
	}
	return r, nil
}

func (r *rowsFile) close() { r.f.Close() }

// most is the largest number of image tokens of a picture.
func (r *rowsFile) most() (n int) {
	for _, t := range r.f.Tensors() {
		n = max(n, int(t.Elements())/r.width)
	}
	return n
}

// read returns the rows of picture i.
func (r *rowsFile) read(i int) ([]float32, error) {
	t, ok := r.f.Tensor(strconv.Itoa(i))
	if !ok || t.Type != gguf.F32 || t.Elements()%uint64(r.width) != 0 {
		return nil, fmt.Errorf(
			"bench: %s holds no image tokens of picture %d; measure the projector again", r.f.Path(), i)
	}
	out, data := make([]float32, t.Elements()), t.Data()
	for k := range out {
		out[k] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*k:]))
	}
	return out, nil
}

func float32Bytes(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// rowComparer compares image tokens with a base's, picture after picture.
type rowComparer struct {
	base   *rowsFile // nil for the base itself
	width  int
	all    []vision.Difference
	tokens []int
	errors []float64 // of single tokens
	diff   float64
	norm   float64
}

// rowComparer opens the base's rows, where j is not the base.
func (j *Job) rowComparer(width int) (*rowComparer, func(), error) {
	c := &rowComparer{width: width}
	if j.Base {
		return c, func() {}, nil
	}
	var err error
	if c.base, err = openRows(filepath.Join(j.Dir, j.BaseRows), width); err != nil {
		return nil, nil, err
	}
	return c, c.base.close, nil
}

func (c *rowComparer) add(i int, rows []float32) error {
	if c.base == nil {
		return nil
	}
	base, err := c.base.read(i)
	if err != nil {
		return err
	}
	if len(base) != len(rows) {
		return fmt.Errorf("bench: %d image tokens, the base makes %d: it is another tower",
			len(rows)/c.width, len(base)/c.width)
	}
	c.all, c.tokens = append(c.all, vision.Compare(rows, base, c.width)),
		append(c.tokens, len(rows)/c.width)
	for k := 0; k < len(rows); k += c.width {
		var d, n float64
		for m := k; m < k+c.width; m++ {
			e := float64(rows[m]) - float64(base[m])
			d, n = d+e*e, n+float64(base[m])*float64(base[m])
		}
		c.diff, c.norm = c.diff+d, c.norm+n
		if n > 0 {
			c.errors = append(c.errors, math.Sqrt(d/n))
		}
	}
	return nil
}

// result sums up; nil for the base.
func (c *rowComparer) result() (*vision.Difference, *TokenError) {
	if c.base == nil || len(c.errors) == 0 {
		return nil, nil
	}
	d := &vision.Difference{LowestCosine: math.Inf(1), Relative: math.Sqrt(c.diff / c.norm)}
	sum := 0
	for i, one := range c.all {
		d.LowestCosine, d.MaxError = min(d.LowestCosine, one.LowestCosine),
			max(d.MaxError, one.MaxError)
		d.MeanCosine += one.MeanCosine * float64(c.tokens[i])
		sum += c.tokens[i]
	}
	d.MeanCosine /= float64(sum)
	slices.Sort(c.errors)
	return d, &TokenError{Mean: stat.Mean(c.errors, nil), Median: percentile(c.errors, 0.5),
		P99: percentile(c.errors, 0.99)}
}
