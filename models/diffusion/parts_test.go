package diffusion_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/diffusion/diffusiontest"
)

func TestPartsMakeAModel(t *testing.T) {
	model, parts, err := diffusiontest.WriteTinyParts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := diffusion.Inspect(model, parts)
	if err != nil {
		t.Fatal(err)
	}
	if f.Family != "flux" || !f.Bare || f.Parameters != 1+1+768+1 || f.Side != 1024 {
		t.Errorf("%+v", *f)
	}
	without := func(part diffusion.Part) diffusion.Parts {
		p := maps.Clone(parts)
		delete(p, part)
		return p
	}
	with := func(part diffusion.Part, path string) diffusion.Parts {
		p := maps.Clone(parts)
		p[part] = path
		return p
	}
	for name, c := range map[string]struct {
		model string
		parts diffusion.Parts
		want  error
		words string
	}{
		"no VAE": {model, without(diffusion.VAE), diffusion.ErrPart, "with --vae, or"},
		"no text encoder": {model, without(diffusion.T5XXL), diffusion.ErrPart,
			"with --t5xxl, or"},
		"another part": {model, with(diffusion.VAE, parts[diffusion.ClipL]),
			diffusion.ErrPart, "it is given as vae, and is clip_l"},
		"a model for a part": {model, with(diffusion.VAE, model), diffusion.ErrPart,
			"it is given as vae, and is none"},
		"a part too many": {model, with(diffusion.LLM, parts[diffusion.T5XXL]),
			diffusion.ErrUnsupported, "takes no llm; its parts are clip_l, t5xxl, vae"},
		"a part for a model": {parts[diffusion.VAE], parts, diffusion.ErrPart, "alone"},
		"no file":            {model, with(diffusion.VAE, model+"x"), nil, "no such file"},
	} {
		_, err := diffusion.Inspect(c.model, c.parts)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(),
			c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPartsBesideAWholeModel: a file may lack some parts, and a VAE may be given in the place of
// its own.
func TestPartsBesideAWholeModel(t *testing.T) {
	_, parts, err := diffusiontest.WriteTinyParts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, tensors := range map[string]shapes{
		"sd1": {unet: {2}, vae: {2}, clip: {2, 768}},
		"sd3": {dit + "joint_blocks.0.x_block.attn.qkv.weight": {2}, t5: {2}},
	} {
		f, err := diffusion.Inspect(write(t, "x", safetensorsBytes(t, tensors)),
			diffusion.Parts{diffusion.VAE: parts[diffusion.VAE]})
		if err != nil || f.Family != name || f.Bare {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	// Stable Diffusion 3 draws with some of its text encoders, too.
	f, err := diffusion.Inspect(write(t, "x",
		safetensorsBytes(t, shapes{dit + "joint_blocks.0.x_block.attn.qkv.weight": {2}, vae: {2}})),
		diffusion.Parts{diffusion.ClipL: parts[diffusion.ClipL]})
	if err != nil || f.Family != "sd3" || f.Bare {
		t.Errorf("%+v, %v", f, err)
	}
}
