// Package diffusion tells files of models that make pictures of texts: Stable Diffusion 1 to 3,
// SDXL, FLUX and later ones, in one safetensors or GGUF file, or in one for each part, as they are
// published and as stable-diffusion.cpp reads them.
//
//	f, err := diffusion.Inspect("v1-5-pruned-emaonly.safetensors", nil)
//	if err != nil {
//		return err
//	}
//	fmt.Println(f.Family, f.Parameters, f.Side) // sd1 1066235307 512
//
// What a file is follows from the names of its tensors alone, which say the same in both formats;
// its own name and metadata are not asked, for files are renamed and most have none. Only the
// header is read. A file may come from anywhere: packages gguf and safetensors check it, and
// nothing here trusts a number in it.
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

// What can be wrong with a file. Errors of this package wrap one of these, those of packages gguf
// and safetensors, or the operating system's error.
var (
	// ErrNotDiffusion: the file is no model that makes pictures.
	ErrNotDiffusion = errors.New("not a model that makes pictures")
	// ErrPart: the file holds a part of such a model, which draws nothing alone.
	ErrPart = errors.New("a part of a model that makes pictures")
	// ErrUnsupported: a model of this kind that cannot be used here, as one that makes videos.
	ErrUnsupported = errors.New("unsupported model")
)

// File describes the file of a model, with its parts.
type File struct {
	Family     string // as "sd1", "sdxl", "flux"
	Format     string // "safetensors" or "gguf", of the file itself
	Size       int64  // bytes, parts included
	Parameters uint64 // parts included
	Type       string // of most bytes of the weights, as "F16" or "Q8_0"
	Side       int    // pixels of a side of the pictures that the family was trained with
	Multiple   int    // of which both sides of a picture must be multiples, in pixels
	Bare       bool   // the file holds the diffusion model alone; all else is in the parts
}

// tensor is what recognition needs of a tensor.
type tensor struct {
	name     string
	width    uint64 // the dimension that varies fastest
	elements uint64
	bytes    int64
	kind     string
}

// Inspect reads the header of a file and those of its parts, which may be none, and says what model
// they are together. Errors wrap this package's, those of packages gguf and safetensors, or the
// operating system's.
func Inspect(path string, parts Parts) (*File, error) {
	f, tensors, err := open(path)
	if err != nil {
		return nil, err
	}
	found, err := recognize(tensors, parts)
	if err != nil {
		return nil, fmt.Errorf("diffusion: %s: %w", path, err)
	}
	f.Family, f.Side, f.Multiple, f.Bare = found.name, found.side, found.multiple, found.bare
	for _, part := range parts.List() {
		size, more, err := openPart(part, parts[part])
		if err != nil {
			return nil, err
		}
		f.Size += size
		tensors = append(tensors, more...)
	}
	bytes := map[string]int64{}
	for _, t := range tensors {
		f.Parameters += t.elements
		bytes[t.kind] += t.bytes
	}
	f.Type = slices.MaxFunc(slices.Sorted(maps.Keys(bytes)), func(a, b string) int {
		return cmp.Compare(bytes[a], bytes[b])
	})
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
	// where the header of a safetensors file begins
	case len(magic) < headBytes || magic[headBytes-1] != '{':
		return nil, nil, fmt.Errorf("diffusion: %s: %w: neither a safetensors nor a GGUF file",
			path, ErrNotDiffusion)
	}
	f, err := safetensors.Open(path)
	if errors.Is(err, safetensors.ErrNotSafetensors) {
		return nil, nil, fmt.Errorf("diffusion: %w: %w", ErrNotDiffusion, err)
	}
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
		return nil, nil, fmt.Errorf("diffusion: %s: %w: it is split over several files", path,
			ErrNotDiffusion)
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
	text     []Part // its text encoders; none where they must be in the file itself
	anywhere bool   // the mark may stand behind any beginning of a name
	bare     bool   // of a file that was recognized: it holds nothing else
}

// diffusionPrefix stands before the names of the tensors of the diffusion model proper, in a file
// that holds the rest too.
const diffusionPrefix = "model.diffusion_model."

// families lists the diffusion transformers, those with the rarer mark first. Names and marks are
// those of the published files, as stable-diffusion.cpp's ModelLoader::get_sd_version reads them;
// text encoders are those of its documents; sides are those that the models' cards name.
var families = []family{
	{name: "chroma-radiance", mark: "nerf_final_layer_conv.", side: 1024, multiple: 16,
		text: []Part{T5XXL}},
	{name: "chroma", mark: "distilled_guidance_layer.", side: 1024, multiple: 16,
		text: []Part{T5XXL}},
	{name: "sd3", mark: "joint_blocks.", side: 1024, multiple: 16, text: []Part{ClipL, ClipG,
		T5XXL}},
	{name: "qwen-image", mark: "transformer_blocks.0.img_mod.1.weight", side: 1024, multiple: 16,
		text: []Part{LLM}},
	{name: "ovis-image", mark: "double_blocks.0.img_mlp.gate_proj.weight", side: 1024, multiple: 16,
		text: []Part{LLM}},
	{name: "z-image", mark: "cap_embedder.0.weight", side: 1024, multiple: 16, text: []Part{LLM}},
	{name: "ernie-image", mark: "layers.0.adaLN_sa_ln.weight", side: 1024, multiple: 16,
		text: []Part{LLM}},
	{name: "anima", mark: "llm_adapter.blocks.0.cross_attn.q_proj.weight", anywhere: true,
		side: 1024, multiple: 16, text: []Part{LLM}},
	{name: "flux2", mark: "double_stream_modulation_img.lin.weight", side: 1024, multiple: 16,
		text: []Part{LLM}},
	{name: "flux", mark: "double_blocks.", side: 1024, multiple: 16, text: []Part{ClipL, T5XXL}},
}

// videos are marks of models that make videos.
var videos = []string{"blocks.0.cross_attn.norm_k.weight", "input_blocks.8.0.time_mixer.mix_factor"}

// Beginnings of the names of tensors in a file that holds more than the diffusion model.
var (
	textPrefixes = []string{"cond_stage_model.", "conditioner.", "text_encoders.", "te."}
	vaePrefixes  = []string{"first_stage_model.", "vae."}
)

// recognize says of which family a model is by the tensors of its file, and whether it is whole
// with the parts that are given beside it.
func recognize(tensors []tensor, parts Parts) (family, error) {
	has := func(mark string) bool {
		return slices.ContainsFunc(tensors, func(t tensor) bool {
			return strings.Contains(t.name, mark)
		})
	}
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(tensors, func(t tensor) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool {
				return strings.HasPrefix(t.name, p)
			})
		})
	}
	if has(".lora_up.weight") || has(".lora_B.weight") || has("_lora1.") {
		return family{}, fmt.Errorf("%w: a LoRA", ErrPart)
	}
	text, vae := begins(textPrefixes...), begins(vaePrefixes...)
	marked := func(mark string) bool { return has(diffusionPrefix + mark) }
	// a diffusion model alone has names without the prefix, or with it
	if !begins(diffusionPrefix) && !text && !vae {
		marked = func(mark string) bool { return begins(mark) }
	}
	for _, mark := range videos {
		if marked(mark) {
			return family{}, fmt.Errorf("%w: it makes videos, not pictures", ErrUnsupported)
		}
	}
	found := family{}
	for _, f := range families {
		if marked(f.mark) || f.anywhere && has(f.mark) {
			found = f
			break
		}
	}
	if found.name == "" && marked("input_blocks.") {
		found = unet(tensors, has)
	}
	if found.name == "" {
		return family{}, notWhole(tensors, begins)
	}
	found.bare = !text && !vae
	return found, found.whole(text, vae, parts)
}

// whole is the error of a model that lacks a part, or was given one that it has no use for. text
// and vae are whether its file has them.
func (f *family) whole(text, vae bool, parts Parts) error {
	pixels := f.name == "chroma-radiance" // works on pixels and has no VAE
	if len(f.text) == 0 && !text {
		return fmt.Errorf("%w: a U-net without its text encoder, which stable-diffusion.cpp takes from the same file alone; give the file that holds both", ErrPart)
	}
	for _, part := range parts.List() {
		if (part != VAE || pixels) && !slices.Contains(f.text, part) {
			return fmt.Errorf("%w: a %s model takes no %s; its parts are %s", ErrUnsupported,
				f.name, part, f.takes(pixels))
		}
	}
	var missing []string
	for _, part := range f.text {
		if parts[part] == "" && !text {
			missing = append(missing, "--"+string(part))
		}
	}
	if f.name == "sd3" && len(missing) < len(f.text) {
		missing = nil // it draws with some of its text encoders, too
	}
	if parts[VAE] == "" && !vae && !pixels {
		missing = append(missing, "--"+string(VAE))
	}
	switch {
	case len(missing) == 0:
		return nil
	case f.bare:
		return fmt.Errorf("%w: the diffusion model of %s alone; give its other files with %s, or one file that holds all", ErrPart, f.name, strings.Join(missing, " and "))
	}
	return fmt.Errorf("%w: a %s model without all its parts; give its other files with %s, or one file that holds all", ErrPart, f.name, strings.Join(missing, " and "))
}

// takes lists the parts that a family has.
func (f *family) takes(pixels bool) string {
	var names []string
	for _, part := range f.text {
		names = append(names, string(part))
	}
	if !pixels {
		names = append(names, string(VAE))
	}
	return strings.Join(names, ", ")
}

// textEmbeddings are the names of the embeddings of tokens, whose width tells Stable Diffusion 1
// from 2.
var textEmbeddings = []string{
	"cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
	"cond_stage_model.model.token_embedding.weight",
}

// unet tells the families whose diffusion model is a U-net apart. The width of what its attention
// reads of the text does that where there is no text encoder in the file.
func unet(tensors []tensor, has func(string) bool) family {
	xl := family{name: "sdxl", side: 1024, multiple: 64}
	two := family{name: "sd2", side: 768, multiple: 64}
	if has("conditioner.embedders.1.") || has("cond_stage_model.1.") {
		return xl
	}
	for _, t := range tensors {
		cross := strings.HasSuffix(t.name, "attn2.to_k.weight")
		switch {
		case cross && t.width == 2048:
			return xl
		case slices.Contains(textEmbeddings, t.name) && t.width == 1024, cross && t.width == 1024:
			return two
		}
	}
	return family{name: "sd1", side: 512, multiple: 64}
}

// notWhole says what a file is that holds no diffusion model. Language models, which some families
// read the text with, are left to those who ask them.
func notWhole(tensors []tensor, begins func(...string) bool) error {
	ends := func(mark string) bool {
		return slices.ContainsFunc(tensors, func(t tensor) bool {
			return strings.HasSuffix(t.name, mark)
		})
	}
	part := partOf(tensors)
	switch {
	case begins("down_blocks.", "unet.down_blocks."):
		return fmt.Errorf("%w: a U-net in the layout of diffusers; give the file that holds all parts", ErrPart)
	case begins(vaePrefixes...), part == VAE, ends("decoder.up.0.block.0.norm1.weight"):
		return fmt.Errorf("%w: a VAE alone; give the file of the diffusion model, and this one with --vae", ErrPart)
	case part == ClipL, part == ClipG:
		return fmt.Errorf("%w: a text encoder alone; give the file of the diffusion model, and this one with --%s", ErrPart, part)
	}
	return ErrNotDiffusion
}
