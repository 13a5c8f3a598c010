// Package diffusiontest writes files of models that make pictures, for tests and benchmarks.
// [WriteSD15] writes all tensors of Stable Diffusion 1.5 in their shapes with random weights: what
// comes out is noise, made by as much arithmetic as a picture of a trained model takes.
// [WriteFluxParts] writes a small model of FLUX with each part in a file of its own. [WriteTiny]
// writes a file of a few bytes that is recognized as such a model and can draw nothing.
package diffusiontest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/models/diffusion"
)

// Tensor is a tensor to be written in float16.
type Tensor struct {
	Name  string
	Shape []int // the dimension that varies fastest comes last
}

func (t *Tensor) elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// WriteTiny writes a file that has the names of Stable Diffusion 1's parts and one value of each.
func WriteTiny(path string) error {
	return write(path, []Tensor{
		{"model.diffusion_model.input_blocks.0.0.weight", []int{1}},
		{"first_stage_model.decoder.conv_in.weight", []int{1}},
		{"cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
			[]int{1, 768}},
	}, 1)
}

// WriteSD15 writes a file of 2.1 GB. The same seed makes the same file.
func WriteSD15(path string, seed uint64) error { return write(path, SD15(), seed) }

// WriteVAE writes the VAE of Stable Diffusion 1.5 as a file of its own, of 0.17 GB. The same seed
// makes the same file.
func WriteVAE(path string, seed uint64) error {
	var l list
	l.vae("", latentDepth)
	return write(path, l.tensors, seed)
}

// WriteTinyParts writes files into a folder that have names of the tensors of FLUX, each part in a
// file of its own: the diffusion model as flux.safetensors, the others by the names of their parts.
func WriteTinyParts(dir string) (model string, parts diffusion.Parts, err error) {
	model, parts = filepath.Join(dir, "flux.safetensors"), diffusion.Parts{}
	if err := write(model, []Tensor{{"double_blocks.0.img_attn.qkv.weight", []int{1}}},
		1); err != nil {
		return "", nil, err
	}
	for part, tensor := range map[diffusion.Part]Tensor{
		diffusion.VAE:   {"decoder.conv_in.weight", []int{1}},
		diffusion.ClipL: {"text_model.embeddings.token_embedding.weight", []int{1, 768}},
		diffusion.T5XXL: {"encoder.block.0.layer.0.SelfAttention.q.weight", []int{1}},
	} {
		parts[part] = filepath.Join(dir, string(part)+".safetensors")
		if err := write(parts[part], []Tensor{tensor}, 1); err != nil {
			return "", nil, err
		}
	}
	return model, parts, nil
}

// write writes a safetensors file with random weights.
func write(path string, tensors []Tensor, seed uint64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			os.Remove(path)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := writeHeader(w, tensors); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range tensors {
		if err := writeWeights(w, &tensors[i], r); err != nil {
			return err
		}
	}
	return w.Flush()
}

func writeHeader(w io.Writer, tensors []Tensor) error {
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, at := map[string]entry{}, 0
	for _, t := range tensors {
		end := at + 2*t.elements()
		header[t.Name] = entry{"F16", t.Shape, [2]int{at, end}}
		at = end
	}
	if len(header) != len(tensors) {
		return fmt.Errorf("diffusiontest: a name stands for two tensors")
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	text = append(text, strings.Repeat(" ", -len(text)&7)...)
	if err := binary.Write(w, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// writeWeights writes what keeps activations near 1 from layer to layer: norms of 1, biases of 0,
// and elsewhere values that are spread evenly with the variance 1/inputs.
func writeWeights(w io.Writer, t *Tensor, r *rand.Rand) error {
	n := t.elements()
	data := make([]byte, 2*n)
	switch {
	case len(t.Shape) > 1:
		spread := math.Sqrt(3 / float64(n/t.Shape[0]))
		if strings.Contains(t.Name, "embedding.weight") {
			spread = 0.03
		}
		table := make([]uint16, 1<<12)
		for i := range table {
			table[i] = float16(spread * (float64(2*i+1)/float64(len(table)) - 1))
		}
		for i := 0; i < n; {
			for bits, k := r.Uint64(), 0; k < 5 && i < n; k, i, bits = k+1, i+1, bits>>12 {
				binary.LittleEndian.PutUint16(data[2*i:], table[bits&(1<<12-1)])
			}
		}
	case strings.HasSuffix(t.Name, ".weight"), strings.HasSuffix(t.Name, ".scale"):
		for i := range n {
			binary.LittleEndian.PutUint16(data[2*i:], float16(1))
		}
	}
	_, err := w.Write(data)
	return err
}

// float16 rounds to the nearest number of half precision with a magnitude from 2^-14 to 65504, and
// what is smaller to 0.
func float16(x float64) uint16 {
	bits := math.Float32bits(float32(x))
	sign := uint16(bits >> 16 & 0x8000)
	exponent := int(bits>>23&0xff) - 127 + 15
	if exponent <= 0 {
		return sign
	}
	return sign | uint16((uint32(exponent)<<10|bits>>13&0x3ff)+bits>>12&1)
}
