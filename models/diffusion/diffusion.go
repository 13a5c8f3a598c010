// Package diffusion tells files of models that make pictures of texts: Stable Diffusion 1 to 3, SDXL, FLUX and later ones, in one safetensors or
// GGUF file as they are published and as stable-diffusion.cpp reads them.
//
//	f, err := diffusion.Inspect("v1-5-pruned-emaonly.safetensors")
//	if err != nil {
//		return err
//	}
//	fmt.Println(f.Family, f.Parameters, f.Side) // sd1 1066235307 512
//
// What a file is follows from the names of its tensors alone, which say the same in both formats; its own name and metadata are not asked, for files
// are renamed and most have none. Only the header is read. A file may come from anywhere: packages gguf and safetensors check it, and nothing here
// trusts a number in it.
package diffusion

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/safetensors"
)

// What can be wrong with a file. Errors of this package wrap one of these, those of packages gguf and safetensors, or the operating system's error.
var (
	// ErrNotDiffusion: the file is no model that makes pictures.
	ErrNotDiffusion = errors.New("not a model that makes pictures")
	// ErrPart: the file holds a part of such a model, which draws nothing alone.
	ErrPart = errors.New("a part of a model that makes pictures")
	// ErrUnsupported: a model of this kind that cannot be used here, as one that makes videos.
	ErrUnsupported = errors.New("unsupported model")
)

// File describes the file of a model.
type File struct {
	Family     string // as "sd1", "sdxl", "flux"
	Format     string // "safetensors" or "gguf"
	Size       int64  // bytes
	Parameters uint64
	Type       string // of most bytes of the weights, as "F16" or "Q8_0"
	Side       int    // pixels of a side of the pictures that the family was trained with
	Multiple   int    // of which both sides of a picture must be multiples, in pixels
}

// tensor is what recognition needs of a tensor.
type tensor struct {
	name     string
	width    uint64 // the dimension that varies fastest
	elements uint64
	bytes    int64
	kind     string
}

// Inspect reads the header of a file and says what model it is.
func Inspect(path string) (*File, error) {
	f, tensors, err := open(path)
	if err != nil {
		return nil, err
	}
	found, err := recognize(tensors)
	if err != nil {
		return nil, fmt.Errorf("diffusion: %s: %w", path, err)
	}
	f.Family, f.Side, f.Multiple = found.name, found.side, found.multiple
	bytes := map[string]int64{}
	for _, t := range tensors {
		f.Parameters += t.elements
		bytes[t.kind] += t.bytes
	}
	f.Type = slices.MaxFunc(slices.Sorted(maps.Keys(bytes)), func(a, b string) int { return cmp.Compare(bytes[a], bytes[b]) })
	return f, nil
}

// open reads the names and shapes of a file's tensors.
func open(path string) (*File, []tensor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("diffusion: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return nil, nil, fmt.Errorf("diffusion: %s: %w: no regular file", path, ErrNotDiffusion)
	}
	magic, err := head(path)
	if err != nil {
		return nil, nil, fmt.Errorf("diffusion: %w", err)
	}
	switch {
	case strings.HasPrefix(magic, "GGUF"):
		return openGGUF(path)
	case len(magic) < headBytes || magic[headBytes-1] != '{': // where the header of a safetensors file begins
		return nil, nil, fmt.Errorf("diffusion: %s: %w: neither a safetensors nor a GGUF file", path, ErrNotDiffusion)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var tensors []tensor
	for _, t := range f.Tensors() {
		x := tensor{name: t.Name, elements: t.Elements(), bytes: t.Size(), kind: string(t.DType)}
		if n := len(t.Shape); n > 0 {
			x.width = t.Shape[n-1]
		}
		tensors = append(tensors, x)
	}
	return &File{Format: "safetensors", Size: info.Size()}, tensors, nil
}

func openGGUF(path string) (*File, []tensor, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if len(f.Parts()) > 1 {
		return nil, nil, fmt.Errorf("diffusion: %s: %w: it is split over several files", path, ErrNotDiffusion)
	}
	var tensors []tensor
	for _, t := range f.Tensors() {
		x := tensor{name: t.Name, elements: t.Elements(), bytes: t.Size(), kind: t.Type.String()}
		if len(t.Dims) > 0 {
			x.width = t.Dims[0]
		}
		tensors = append(tensors, x)
	}
	return &File{Format: "gguf", Size: f.Size()}, tensors, nil
}

// headBytes is as much of a file as tells the two formats apart.
const headBytes = 9

// head returns the first bytes of a file, fewer where it has fewer.
func head(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	magic := make([]byte, headBytes)
	n, err := io.ReadFull(f, magic)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	return string(magic[:n]), nil
}

// family is a kind of model, and what pictures it makes.
type family struct {
	name     string
	mark     string // a part of a tensor's name that no family further down in the list has
	side     int
	multiple int
}

// diffusionPrefix stands before the names of the tensors of the diffusion model proper, in a file that holds the rest too.
const diffusionPrefix = "model.diffusion_model."

// families lists the diffusion transformers, those with the rarer mark first. Names and marks are those of the published files, as
// stable-diffusion.cpp's ModelLoader::get_sd_version reads them; sides are those that the models' cards name.
var families = []family{
	{"chroma-radiance", "nerf_final_layer_conv.", 1024, 16},
	{"sd3", "joint_blocks.", 1024, 16},
	{"qwen-image", "transformer_blocks.0.img_mod.1.weight", 1024, 16},
	{"ovis-image", "double_blocks.0.img_mlp.gate_proj.weight", 1024, 16},
	{"z-image", "cap_embedder.0.weight", 1024, 16},
	{"ernie-image", "layers.0.adaLN_sa_ln.weight", 1024, 16},
	{"flux2", "double_stream_modulation_img.lin.weight", 1024, 16},
	{"flux", "double_blocks.", 1024, 16},
}

// videos are marks of models that make videos.
var videos = []string{"blocks.0.cross_attn.norm_k.weight", "input_blocks.8.0.time_mixer.mix_factor"}

// recognize says of which family a model is by its tensors.
func recognize(tensors []tensor) (family, error) {
	has := func(mark string) bool {
		return slices.ContainsFunc(tensors, func(t tensor) bool { return strings.Contains(t.name, mark) })
	}
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(tensors, func(t tensor) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(t.name, p) })
		})
	}
	for _, mark := range videos {
		if has(diffusionPrefix + mark) {
			return family{}, fmt.Errorf("%w: it makes videos, not pictures", ErrUnsupported)
		}
	}
	found := family{}
	for _, f := range families {
		if has(diffusionPrefix + f.mark) {
			found = f
			break
		}
	}
	if found.name == "" && has(diffusionPrefix+"input_blocks.") {
		found = unet(tensors, has)
	}
	if found.name == "" {
		return family{}, notWhole(has, begins)
	}
	var missing []string
	if !begins("cond_stage_model.", "conditioner.", "text_encoders.", "te.") {
		missing = append(missing, "text encoder")
	}
	if !begins("first_stage_model.", "vae.") && found.name != "chroma-radiance" { // which works on pixels
		missing = append(missing, "VAE")
	}
	if len(missing) > 0 {
		return family{}, fmt.Errorf("%w: a %s model without its %s; give the file that holds all parts", ErrPart, found.name, strings.Join(missing, " and "))
	}
	return found, nil
}

// textEmbeddings are the names of the embeddings of tokens, whose width tells Stable Diffusion 1 from 2.
var textEmbeddings = []string{
	"cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
	"cond_stage_model.model.token_embedding.weight",
}

// unet tells the families whose diffusion model is a U-net apart.
func unet(tensors []tensor, has func(string) bool) family {
	if has("conditioner.embedders.1.") || has("cond_stage_model.1.") {
		return family{name: "sdxl", side: 1024, multiple: 64}
	}
	for _, t := range tensors {
		if slices.Contains(textEmbeddings, t.name) && t.width == 1024 {
			return family{name: "sd2", side: 768, multiple: 64}
		}
	}
	return family{name: "sd1", side: 512, multiple: 64}
}

// notWhole says what a file is that holds no whole model.
func notWhole(has func(string) bool, begins func(...string) bool) error {
	for _, f := range families {
		if begins(f.mark) || strings.Contains(f.mark, ".0.") && has(f.mark) {
			return fmt.Errorf("%w: the diffusion model of %s alone; give the file that holds text encoder and VAE too", ErrPart, f.name)
		}
	}
	switch {
	case begins("input_blocks.", "down_blocks.", "unet.down_blocks."):
		return fmt.Errorf("%w: a U-net alone; give the file that holds text encoder and VAE too", ErrPart)
	case has(".lora_up.weight") || has(".lora_B.weight"):
		return fmt.Errorf("%w: a LoRA", ErrPart)
	case begins("first_stage_model.") || has("decoder.up.0.block.0.norm1.weight"):
		return fmt.Errorf("%w: a VAE alone", ErrPart)
	}
	return ErrNotDiffusion
}
