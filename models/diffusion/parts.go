package diffusion

import (
	"fmt"
	"slices"
	"strings"
)

// Part is a part of a model that can be in a file of its own. Its name is that of the option of
// stable-diffusion.cpp's program.
type Part string

// Parts of models.
const (
	VAE   Part = "vae"
	ClipL Part = "clip_l" // text encoder CLIP ViT-L/14; of Stable Diffusion 2, OpenCLIP's
	ClipG Part = "clip_g" // text encoder OpenCLIP ViT-bigG
	T5XXL Part = "t5xxl"  // text encoder T5 v1.1 XXL
	LLM   Part = "llm"    // language model that encodes the text, as Qwen3 for Z-Image
)

// AllParts lists the parts there are, in the order of lists.
var AllParts = []Part{VAE, ClipL, ClipG, T5XXL, LLM}

// Parts are the files of a model's parts that lie beside the file of its diffusion model.
type Parts map[Part]string

// List returns the parts that have a file, in the order of AllParts.
func (p Parts) List() []Part {
	return slices.DeleteFunc(slices.Clone(AllParts), func(part Part) bool { return p[part] == "" })
}

// openPart reads the header of a part's file, and makes sure that it is what it is given as.
func openPart(part Part, path string) (size int64, tensors []tensor, err error) {
	f, tensors, err := open(path)
	if err != nil {
		return 0, nil, err
	}
	is := partOf(tensors)
	switch {
	case is == part, part == ClipL && is == ClipG: // as that of Stable Diffusion 2
		return f.Size, tensors, nil
	case is == "":
		return 0, nil, fmt.Errorf("diffusion: %s: %w: it is given as %s, and is none", path,
			ErrPart, part)
	}
	return 0, nil, fmt.Errorf("diffusion: %s: %w: it is given as %s, and is %s", path, ErrPart,
		part, is)
}

// partOf says what part the tensors of a file are, in the names of Hugging Face's and of ggml's
// files; "" for none.
func partOf(tensors []tensor) Part {
	var found Part
	for _, t := range tensors {
		name := t.name
		switch {
		case strings.HasSuffix(name, "decoder.conv_in.weight"),
			strings.HasSuffix(name, "decoder.conv1.weight"):
			return VAE
		case strings.HasSuffix(name, "text_model.embeddings.token_embedding.weight"),
			strings.HasSuffix(name, "model.token_embedding.weight"):
			if t.width > 768 {
				return ClipG
			}
			return ClipL
		case strings.HasSuffix(name, "encoder.block.0.layer.0.SelfAttention.q.weight"),
			strings.HasPrefix(name, "enc.blk.0.attn_q."):
			return T5XXL
		case strings.HasSuffix(name, "layers.0.self_attn.q_proj.weight"),
			strings.HasPrefix(name, "blk.0.attn_q."), strings.HasPrefix(name, "blk.0.attn_qkv."):
			found = LLM // unless it is a CLIP, whose layers are named alike
		}
	}
	return found
}
