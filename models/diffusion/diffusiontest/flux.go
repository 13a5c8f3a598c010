package diffusiontest

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// The sizes of FLUX.1, from model.py and util.py of https://github.com/black-forest-labs/flux, but
// for the two that stable-diffusion.cpp reads from the tensors: the width, which is that of one
// head and not of 24, and the blocks, one of each kind and not 19 and 38. Text encoders and VAE
// have their full shapes, which that program takes for granted.
const (
	fluxWidth   = 128 // of one attention head
	fluxIn      = 64  // 16 channels of 2 x 2 latents
	fluxTime    = 256
	fluxLatents = 16

	t5Width   = 4096
	t5Hidden  = 10240
	t5Heads   = 64
	t5Layers  = 24
	t5Tokens  = 32128
	t5Buckets = 32
)

// WriteFluxParts writes files of a small FLUX into a folder, 2 GB with its parts, of which the text
// encoder T5-XXL in Q2_K is the most. The same seed makes the same files.
func WriteFluxParts(dir string, seed uint64) (model string, parts diffusion.Parts, err error) {
	model = filepath.Join(dir, "flux.safetensors")
	parts = diffusion.Parts{
		diffusion.VAE:   filepath.Join(dir, "ae.safetensors"),
		diffusion.ClipL: filepath.Join(dir, "clip_l.safetensors"),
		diffusion.T5XXL: filepath.Join(dir, "t5xxl-q2_k.gguf"),
	}
	var flux, vae, text list
	flux.flux()
	vae.vae("", fluxLatents)
	text.text("text_model.")
	for path, tensors := range map[string][]Tensor{model: flux.tensors,
		parts[diffusion.VAE]: vae.tensors, parts[diffusion.ClipL]: text.tensors} {
		if err := write(path, tensors, seed); err != nil {
			return "", nil, err
		}
	}
	return model, parts, writeT5(parts[diffusion.T5XXL], seed)
}

// flux adds the diffusion model, by the names that it has in a file of its own.
func (l *list) flux() {
	const n = fluxWidth
	l.both("img_in", n, fluxIn)
	l.both("txt_in", n, t5Width)
	l.both("time_in.in_layer", n, fluxTime)
	l.both("time_in.out_layer", n, n)
	l.both("vector_in.in_layer", n, textWidth)
	l.both("vector_in.out_layer", n, n)
	norms := func(p string) {
		l.add(p+"norm.query_norm.scale", n)
		l.add(p+"norm.key_norm.scale", n)
	}
	for _, stream := range []string{"img", "txt"} {
		p := "double_blocks.0." + stream
		l.both(p+"_mod.lin", 6*n, n)
		l.both(p+"_attn.qkv", 3*n, n)
		norms(p + "_attn.")
		l.both(p+"_attn.proj", n, n)
		l.both(p+"_mlp.0", 4*n, n)
		l.both(p+"_mlp.2", n, 4*n)
	}
	l.both("single_blocks.0.modulation.lin", 3*n, n)
	l.both("single_blocks.0.linear1", 7*n, n)
	l.both("single_blocks.0.linear2", n, 5*n)
	norms("single_blocks.0.")
	l.both("final_layer.adaLN_modulation.1", 2*n, n)
	l.both("final_layer.linear", fluxIn, n)
}

// writeT5 writes the text encoder T5 v1.1 XXL, of 4.76 thousand million parameters, by the names
// that llama.cpp gives its tensors.
func writeT5(path string, seed uint64) error {
	w := gguf.NewWriter("t5encoder")
	r := rand.New(rand.NewPCG(seed, 1))
	matrix := func(name string, out, in int) {
		w.AddTensorFunc(name+".weight", gguf.Q2_K, []uint64{uint64(in), uint64(out)},
			func(to io.Writer) error { return writeQ2K(to, out*in, r) })
	}
	norm := func(name string) {
		ones := make([]byte, 0, 4*t5Width)
		for range t5Width {
			ones = binary.LittleEndian.AppendUint32(ones, 0x3f80_0000)
		}
		w.AddTensor(name+".weight", gguf.F32, []uint64{t5Width}, ones)
	}
	matrix("token_embd", t5Tokens, t5Width)
	for i := range t5Layers {
		block := fmt.Sprintf("enc.blk.%d.", i)
		for _, name := range []string{"q", "k", "v", "o"} {
			matrix(block+"attn_"+name, t5Width, t5Width)
		}
		norm(block + "attn_norm")
		for _, name := range []string{"gate", "up"} {
			matrix(block+"ffn_"+name, t5Hidden, t5Width)
		}
		matrix(block+"ffn_down", t5Width, t5Hidden)
		norm(block + "ffn_norm")
	}
	w.AddTensor("enc.blk.0.attn_rel_b.weight", gguf.F32, []uint64{t5Heads, t5Buckets},
		make([]byte, 4*t5Heads*t5Buckets))
	norm("enc.output_norm")
	return w.WriteFile(path)
}

// Layout of a block of Q2_K: 16 bytes of scales, 64 of values, and two scales of float16, as
// block_q2_K in ggml's ggml-common.h.
const (
	q2kValues = 256
	q2kScales = 16
	q2kQuants = 64
)

// writeQ2K writes n random values in Q2_K, spread over four steps about 0 with the variance
// 1/4096: a value is d*(scale*q - 1.5*scale), with a q of 0 to 3.
func writeQ2K(w io.Writer, n int, r *rand.Rand) error {
	const scale = 8
	const d = 1.0 / (64 * scale * 1.118) // 1.118 is the deviation of q
	block := make([]byte, q2kScales+q2kQuants+4)
	for i := range q2kScales {
		block[i] = scale | scale<<4
	}
	binary.LittleEndian.PutUint16(block[q2kScales+q2kQuants:], float16(d))
	binary.LittleEndian.PutUint16(block[q2kScales+q2kQuants+2:], float16(1.5*d))
	for range n / q2kValues {
		for i := 0; i < q2kQuants; i += 8 {
			binary.LittleEndian.PutUint64(block[q2kScales+i:], r.Uint64())
		}
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}
