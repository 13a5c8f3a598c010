package libmtmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/mmproj"
)

// wrongWidth is what libmtmd says when projector and language model do not fit. It knows the width
// of every family.
var wrongWidth = regexp.MustCompile(`mmproj \(n_embd = (\d+)\)`)

// openBesideStandIn loads a tower beside a stand-in for its language model. If the width was
// guessed wrong, libmtmd's refusal names the right one.
func openBesideStandIn(ctx context.Context, path string, width int,
	params mtmd.Params) (*mtmd.Context, *llama.Model, error) {
	width = max(width, 1)
	for again := false; ; again = true {
		model, err := standIn(ctx, width)
		if err != nil {
			return nil, nil, err
		}
		c, err := mtmd.New(ctx, path, model, params)
		if err == nil {
			return c, model, nil
		}
		model.Close()
		said := wrongWidth.FindStringSubmatch(err.Error())
		if said == nil || again {
			return nil, nil, err
		}
		n, convErr := strconv.Atoi(said[1])
		if convErr != nil || n < 1 || n > mmproj.MaxWidth || n == width {
			return nil, nil, err
		}
		width = n
	}
}

// standIn makes a language model of a given width: a vocabulary with embeddings that are all zero,
// and one layer of the least size. It cannot say anything; libmtmd asks a model for its width, the
// way it counts positions, and its tokens.
func standIn(ctx context.Context, width int) (*llama.Model, error) {
	dir, err := os.MkdirTemp("", "eyelet-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "stand-in.gguf")
	if err := writeStandIn(path, width); err != nil {
		return nil, fmt.Errorf("a stand-in for the language model: %w", err)
	}
	// Read, not mapped: the file goes away.
	m, err := llama.LoadModel(ctx, path, llama.ModelParams{GPULayers: llama.NoGPULayers,
		LoadMode: llama.LoadRead})
	if err != nil {
		return nil, fmt.Errorf("a stand-in for the language model: %w", err)
	}
	return m, nil
}

// Sizes of the stand-in's layer. A head has an even width, since numbers are rotated in pairs.
const (
	standInHead = 2
	standInFF   = 2
)

// writeStandIn writes the stand-in as a model of the "llama" architecture.
func writeStandIn(path string, width int) error {
	w := gguf.NewWriter("llama")
	for _, kv := range []struct {
		key   string
		value uint32
	}{
		{"context_length", 64}, {"embedding_length", uint32(width)}, {"block_count", 1},
		{"feed_forward_length", standInFF},
		{"attention.head_count", 1}, {"attention.head_count_kv", 1}, {"attention.key_length",
			standInHead},
		{"attention.value_length", standInHead}, {"rope.dimension_count", standInHead},
	} {
		w.Set("llama."+kv.key, kv.value)
	}
	w.Set("llama.attention.layer_norm_rms_epsilon", float32(1e-6))
	tokens, types := vocabulary()
	w.Set("tokenizer.ggml.model", "llama")
	w.Set("tokenizer.ggml.tokens", tokens)
	w.Set("tokenizer.ggml.scores", make([]float32, len(tokens)))
	w.Set("tokenizer.ggml.token_type", types)
	w.Set("tokenizer.ggml.bos_token_id", uint32(1))
	w.Set("tokenizer.ggml.eos_token_id", uint32(2))
	w.Set("tokenizer.ggml.unknown_token_id", uint32(0))
	w.Set("tokenizer.ggml.add_space_prefix", false)
	zeros := func(name string, t gguf.Type, bytes int, dims ...uint64) {
		for _, d := range dims {
			bytes *= int(d)
		}
		w.AddTensorFunc(name, t, dims, func(to io.Writer) error {
			_, err := io.CopyN(to, zeroReader{}, int64(bytes))
			return err
		})
	}
	n := uint64(width)
	zeros("token_embd.weight", gguf.F16, 2, n, uint64(len(tokens)))
	zeros("output_norm.weight", gguf.F32, 4, n)
	zeros("blk.0.attn_norm.weight", gguf.F32, 4, n)
	zeros("blk.0.ffn_norm.weight", gguf.F32, 4, n)
	for _, name := range []string{"attn_q", "attn_k", "attn_v"} {
		zeros("blk.0."+name+".weight", gguf.F16, 2, n, standInHead)
	}
	zeros("blk.0.attn_output.weight", gguf.F16, 2, standInHead, n)
	zeros("blk.0.ffn_gate.weight", gguf.F16, 2, n, standInFF)
	zeros("blk.0.ffn_up.weight", gguf.F16, 2, n, standInFF)
	zeros("blk.0.ffn_down.weight", gguf.F16, 2, standInFF, n)
	return w.WriteFile(path)
}

// zeroReader is an endless file of zeros.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Types of tokens in a GGUF vocabulary (llama_token_type of llama.h).
const (
	tokenUnknown = 2
	tokenControl = 3
	tokenByte    = 6
)

// specialTokens are what families write around pictures and tiles (llama.cpp, tools/mtmd/mtmd.cpp):
// libmtmd looks them up while it loads a tower, and may refuse a model that lacks them.
var specialTokens = []string{
	"<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", "<|image>",
	"<image|>", "<vision>", "</vision>",
	"<|vision_start|>", "<|vision_end|>", "<|image_start|>", "<|image_end|>", "<|image_pad|>",
	"<|image|>",
	"<start_of_image>", "<end_of_image>", "<image_soft_token>", "<fake_token_around_image>",
	"<global-img>",
	"<im_start>", "<im_end>", "<patch_start>", "<patch_end>", "<patch_newline>",
	"<|tile_x_separator|>", "<|tile_y_separator|>", "<|patch|>",
	"<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>", "<|IMAGE_START|>", "<|IMAGE_END|>",
	"<|media_start|>", "<|media_end|>", "<|media_begin|>", "<|begin_of_image|>", "<|end_of_image|>",
	"<|im_start|>", "<|im_end|>",
	"<|endofimg|>", "<|img_thumbnail|>", "<img>", "</img>", "[IMG]", "[IMG_BREAK]", "[IMG_END]",
	"<|audio_bos|>", "<|audio_eos|>", "<|audio_start|>", "<|audio_end|>", "<|audio>", "<audio|>",
}

// vocabulary has the special tokens and every byte, of which any other text is made.
func vocabulary() (tokens []string, types []int32) {
	add := func(kind int32, list ...string) {
		tokens = append(tokens, list...)
		types = append(types, slices.Repeat([]int32{kind}, len(list))...)
	}
	add(tokenUnknown, "<unk>")
	add(tokenControl, "<s>", "</s>")
	for b := range 256 {
		add(tokenByte, fmt.Sprintf("<0x%02X>", b))
	}
	add(tokenControl, specialTokens...)
	return tokens, types
}
