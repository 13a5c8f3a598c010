package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/models/diffusion"
)

// drawingParts are the flags that name the parts of a model that draws, as stable-diffusion.cpp's
// program has them.
type drawingParts struct{ vae, clipL, clipG, t5xxl, llm string }

// flags defines them. when begins their descriptions.
func (p *drawingParts) flags(cmd *cobra.Command, when string) {
	f := cmd.Flags()
	for _, flag := range []struct {
		to   *string
		part diffusion.Part
		what string
	}{
		{&p.vae, diffusion.VAE, "VAE"},
		{&p.clipL, diffusion.ClipL, "text encoder CLIP-L"},
		{&p.clipG, diffusion.ClipG, "text encoder CLIP-G"},
		{&p.t5xxl, diffusion.T5XXL, "text encoder T5-XXL"},
		{&p.llm, diffusion.LLM, "language model that encodes the text"},
	} {
		f.StringVar(flag.to, string(flag.part), "", when+"the file of its "+flag.what)
		_ = cmd.MarkFlagFilename(string(flag.part), "safetensors", "gguf", "sft")
	}
}

// all are the parts by name, those without a file too.
func (p *drawingParts) all() diffusion.Parts {
	return diffusion.Parts{diffusion.VAE: p.vae, diffusion.ClipL: p.clipL, diffusion.ClipG: p.clipG,
		diffusion.T5XXL: p.t5xxl, diffusion.LLM: p.llm}
}

// first is the first part that a flag names; "" for none.
func (p *drawingParts) first() diffusion.Part {
	if list := p.all().List(); len(list) > 0 {
		return list[0]
	}
	return ""
}

// files are the parts that flags name, nil for none. A file that is not there is an error.
func (p *drawingParts) files() (diffusion.Parts, error) {
	var files diffusion.Parts
	all := p.all()
	for _, part := range all.List() {
		if _, err := os.Stat(all[part]); err != nil {
			return nil, inputf("%s: %w", all[part], causeOf(err))
		}
		if files == nil {
			files = diffusion.Parts{}
		}
		files[part] = all[part]
	}
	return files, nil
}
