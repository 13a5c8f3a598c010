package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// weights makes the data of tensors while they are written, so that a model of any size takes no
// memory.
type weights struct {
	ctx      context.Context
	seed     uint64
	outliers outliersOf
	added    int
	written  int
	progress func(done, total int, tensor string)
}

func (ws *weights) add(w *gguf.Writer, name string, t gguf.Type, dims []int,
	write func(io.Writer) error) {
	ws.added++
	d := make([]uint64, len(dims))
	for i, n := range dims {
		d[i] = uint64(n)
	}
	w.AddTensorFunc(name, t, d, func(out io.Writer) error {
		if err := ws.ctx.Err(); err != nil {
			return err
		}
		ws.written++
		ws.progress(ws.written, ws.added, name)
		return write(out)
	})
}

// matrix adds a tensor in F16 with normally distributed elements of standard deviation scale /
// sqrt(inputs); all dimensions but the last are inputs.
func (ws *weights) matrix(w *gguf.Writer, name string, scale float64, dims ...int) {
	ws.halves(w, name, scale, 0, dims...)
}

// reader is matrix for inputs that come from gains. Those of outliers that are damped are so by as
// much as the gains raise them: they change no result.
func (ws *weights) reader(w *gguf.Writer, name string, scale float64, dims ...int) {
	damped := 0
	if ws.outliers.damped {
		damped = ws.outliers.power
	}
	ws.halves(w, name, scale, damped, dims...)
}

func (ws *weights) halves(w *gguf.Writer, name string, scale float64, damped int, dims ...int) {
	inputs, n := 1, dims[len(dims)-1]
	for _, d := range dims[:len(dims)-1] {
		inputs *= d
	}
	n *= inputs
	hash := fnv.New64a()
	hash.Write([]byte(name))
	ws.add(w, name, gguf.F16, dims, func(out io.Writer) error {
		table, err := normalTable(scale / math.Sqrt(float64(inputs)))
		if err != nil {
			return err
		}
		if damped > 0 {
			out = &damper{out: out, inputs: inputs, outliers: ws.outliers}
		}
		return randomHalves(out, n, table, rand.NewPCG(ws.seed, hash.Sum64()))
	})
}

// outliersOf says that a few channels of a state are 2^power times as large as others, and whether
// the weights that read them are as much smaller.
type outliersOf struct {
	power, channels int
	damped          bool
}

// has reports whether one of so many channels is an outlier.
func (o outliersOf) has(channel, of int) bool {
	return o.power > 0 && channel%max(of/o.channels, 8) == 7
}

// damper divides the weights of outliers in F16 by a power of two, in rows of so many inputs.
type damper struct {
	out        io.Writer
	inputs, at int
	outliers   outliersOf
}

func (d *damper) Write(p []byte) (int, error) {
	for i := 0; i+1 < len(p); i += 2 {
		if d.outliers.has(d.at%d.inputs, d.inputs) {
			h := binary.LittleEndian.Uint16(p[i:])
			if exponent := int(h >> 10 & 31); exponent > d.outliers.power {
				h -= uint16(d.outliers.power) << 10
			} else { // far below all others
				h &= 1 << 15
			}
			binary.LittleEndian.PutUint16(p[i:], h)
		}
		d.at++
	}
	return d.out.Write(p)
}

// gains adds a norm's gains in F32: 1, and more for outliers.
func (ws *weights) gains(w *gguf.Writer, name string, n int) {
	var row []byte
	for i := range n {
		gain := float32(1)
		if ws.outliers.has(i, n) {
			gain = float32(math.Ldexp(1, ws.outliers.power))
		}
		row = binary.LittleEndian.AppendUint32(row, math.Float32bits(gain))
	}
	ws.add(w, name, gguf.F32, []int{n}, func(out io.Writer) error {
		_, err := out.Write(row)
		return err
	})
}

func (ws *weights) ones(w *gguf.Writer, name string, n int)  { ws.constant(w, name, 1, n) }
func (ws *weights) zeros(w *gguf.Writer, name string, n int) { ws.constant(w, name, 0, n) }

// constant adds a tensor in F32 of the same number.
func (ws *weights) constant(w *gguf.Writer, name string, v float32, dims ...int) {
	n := 1
	for _, d := range dims {
		n *= d
	}
	row := bytes.Repeat(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)), n)
	ws.add(w, name, gguf.F32, dims, func(out io.Writer) error {
		_, err := out.Write(row)
		return err
	})
}

// normalTable holds the quantiles (i + 1/2) / 65536 of a normal distribution in F16: any 16 random
// bits pick an element, which is many times faster than computing one.
func normalTable(deviation float64) ([]byte, error) {
	quantiles := make([]float32, 1<<16)
	for i := range quantiles {
		p := (float64(i) + 0.5) / float64(len(quantiles))
		quantiles[i] = float32(deviation * math.Sqrt2 * math.Erfinv(2*p-1))
	}
	table := make([]byte, 2*len(quantiles))
	return table, ggml.Quantize(ggml.F16, quantiles, len(quantiles), nil, table)
}

// randomHalves writes n elements of table, four for each number of the generator.
func randomHalves(out io.Writer, n int, table []byte, random *rand.PCG) error {
	const chunk = 1 << 18
	buf := make([]byte, 0, 2*chunk+8)
	for n > 0 {
		buf = buf[:0]
		for len(buf) < 2*min(n, chunk) {
			bits := random.Uint64()
			for range 4 {
				i := 2 * int(bits&0xffff)
				buf = append(buf, table[i], table[i+1])
				bits >>= 16
			}
		}
		k := min(n, chunk)
		if _, err := out.Write(buf[:2*k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}
