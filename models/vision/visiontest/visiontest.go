// Package visiontest makes vision towers of any size whose weights every language can
// compute: number i of a tensor is a hash of i and of the tensor's name. The golden
// script scripts/golden/towers.py makes the same towers for Hugging Face's
// transformers, so that tests of towers with hundreds of millions of weights need only
// some rows of numbers in the repository. It is for tests and benchmarks; what such a
// tower sees is noise.
package visiontest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strings"

	"github.com/x448/float16"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Spec is the shape of a tower with a projector of two layers.
type Spec struct {
	Family               string `json:"family"`     // "clip" or "siglip"
	ImageSize            int    `json:"image_size"` // side of the picture, in pixels
	PatchSize            int    `json:"patch_size"` // side of a patch, in pixels
	Hidden, FF           int    // widths of the hidden states and inside the feed-forward network
	Heads, Blocks, Width int    // attention heads, transformer blocks, width of an image token
	Activation           string // "gelu", "silu" or "quick_gelu"
	PostNorm             bool   `json:"post_norm"` // whether a norm follows the last block
}

// Towers of models that people use, but for the width of image tokens.
var (
	// ViTL336 is CLIP ViT-L/14 at 336 pixels, the tower of LLaVA 1.5 and 1.6: 23 of its
	// 24 blocks, which are those that LLaVA reads. It has 300 million weights.
	ViTL336 = Spec{Family: "clip", ImageSize: 336, PatchSize: 14, Hidden: 1024, FF: 4096, Heads: 16,
		Blocks: 23, Width: 2048, Activation: "quick_gelu"}
	// So400M384 is SigLIP so400m/14 at 384 pixels, the tower of LLaVA-OneVision, with 26
	// of its 27 blocks. It has 400 million weights, and heads 72 wide.
	So400M384 = Spec{Family: "siglip", ImageSize: 384, PatchSize: 14, Hidden: 1152, FF: 4304,
		Heads: 16, Blocks: 26, Width: 896, Activation: "gelu"}
)

// WriteFile writes the tower as an mmproj file. Matrices are stored as t, F16 or F32;
// their numbers are such as float16 can hold, so both files hold the same ones. The
// rest is F32.
func (s Spec) WriteFile(path string, t gguf.Type) error {
	if t != gguf.F16 && t != gguf.F32 {
		return fmt.Errorf("visiontest: matrices of type %v; give F16 or F32", t)
	}
	w := gguf.NewWriter("clip")
	s.metadata(w)
	s.tensors(func(name string, dims ...int) {
		kind := gguf.F32
		if len(dims) > 1 {
			kind = t
		}
		n, d := 1, make([]uint64, len(dims))
		for i, v := range dims {
			n, d[i] = n*v, uint64(v)
		}
		w.AddTensorFunc(name, kind, d, func(out io.Writer) error {
			return write(out, name, dims, n, kind)
		})
	})
	return w.WriteFile(path)
}

func (s Spec) metadata(w *gguf.Writer) {
	w.Set("general.name", "synthetic")
	w.Set("clip.has_vision_encoder", true)
	w.Set("clip.projector_type", "mlp")
	w.Set("clip.use_gelu", s.Activation == "gelu")
	w.Set("clip.use_silu", s.Activation == "silu")
	for _, kv := range []struct {
		key string
		n   int
	}{{"image_size", s.ImageSize}, {"patch_size", s.PatchSize}, {"embedding_length", s.Hidden},
		{"feed_forward_length", s.FF},
		{"projection_dim", s.Width}, {"block_count", s.Blocks}, {"attention.head_count", s.Heads}} {
		w.Set("clip.vision."+kv.key, uint32(kv.n))
	}
	eps, mean, std := float32(1e-6), []float32{0.5, 0.5, 0.5}, []float32{0.5, 0.5, 0.5}
	if s.Family == "clip" {
		eps, mean, std = 1e-5, []float32{0.48145466, 0.4578275, 0.40821073},
			[]float32{0.26862954, 0.26130258, 0.27577711}
	}
	w.Set("clip.vision.attention.layer_norm_epsilon", eps)
	w.Set("clip.vision.image_mean", mean)
	w.Set("clip.vision.image_std", std)
}

// tensors calls add with the name and dimensions, fastest first, of every tensor.
func (s Spec) tensors(add func(name string, dims ...int)) {
	d, across, class := s.Hidden, s.ImageSize/s.PatchSize, 0
	linear := func(name string, in, out int) {
		add(name+".weight", in, out)
		add(name+".bias", out)
	}
	norm := func(name string) {
		add(name+".weight", d)
		add(name+".bias", d)
	}
	add("v.patch_embd.weight", s.PatchSize, s.PatchSize, 3, d)
	if s.Family == "clip" {
		class = 1
		add("v.class_embd", d)
		norm("v.pre_ln")
	} else {
		add("v.patch_embd.bias", d)
	}
	add("v.position_embd.weight", d, across*across+class)
	if s.PostNorm {
		norm("v.post_ln")
	}
	for i := range s.Blocks {
		block := fmt.Sprintf("v.blk.%d.", i)
		norm(block + "ln1")
		norm(block + "ln2")
		for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_out"} {
			linear(block+name, d, d)
		}
		linear(block+"ffn_up", d, s.FF)
		linear(block+"ffn_down", s.FF, d)
	}
	linear("mm.0", d, s.Width)
	linear("mm.2", s.Width, s.Width)
}

// Picture returns the size by size picture that goldens are of: hashed bytes over ramps.
func Picture(size int) *imaging.RGB {
	img, seed := imaging.NewRGB(size, size), crc32.ChecksumIEEE([]byte("picture"))
	for i := range img.Pix {
		x, y, c := i/3%size, i/3/size, i%3
		rough := int((hashed(seed, uint32(i)) + 1) * 64)
		img.Pix[i] = uint8((3*x+5*y*(c+1))>>2 + rough)
	}
	return img
}

// hashed is a number from -1 to below 1, a multiple of 2^-23, which is exact in float32.
func hashed(seed, i uint32) float32 {
	x := i * 2654435761
	x ^= x >> 15
	x = (x + seed) * 2246822519
	x ^= x >> 13
	x *= 3266489917
	x ^= x >> 16
	return float32(x>>8)*(1.0/(1<<23)) - 1
}

// write writes the n numbers of a tensor. Matrices keep the variance of their input,
// but for queries, which are doubled, that attention has something to choose.
func write(out io.Writer, name string, dims []int, n int, kind gguf.Type) error {
	seed := crc32.ChecksumIEEE([]byte(name))
	var scale, mean float32 = 0.1, 0
	matrix := len(dims) > 1
	switch {
	case name == "v.position_embd.weight" || name == "v.class_embd":
		scale = 0.5
	case matrix:
		wide := math.Sqrt(3 / float64(n/dims[len(dims)-1]))
		if strings.Contains(name, "attn_q") {
			wide *= 2
		}
		scale = float32(wide)
	case strings.HasSuffix(name, ".weight"):
		mean = 1
	}
	buf := make([]byte, 0, 1<<18)
	for i := range n {
		product := scale * hashed(seed, uint32(i))
		v := mean + product
		half := float16.Float16(0)
		if matrix {
			half = float16.Fromfloat32(v)
			v = half.Float32()
		}
		if kind == gguf.F16 {
			buf = binary.LittleEndian.AppendUint16(buf, half.Bits())
		} else {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if len(buf)+4 > cap(buf) || i == n-1 {
			if _, err := out.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	return nil
}
