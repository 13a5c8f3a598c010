package draw

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/store"
)

// PartFlags are the flags that name the parts of a model that draws, as stable-diffusion.cpp's
// program has them.
type PartFlags struct{ vae, clipL, clipG, t5xxl, llm string }

// Register defines them. when begins their descriptions.
func (p *PartFlags) Register(cmd *cobra.Command, when string) {
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
func (p *PartFlags) all() diffusion.Parts {
	return diffusion.Parts{diffusion.VAE: p.vae, diffusion.ClipL: p.clipL, diffusion.ClipG: p.clipG,
		diffusion.T5XXL: p.t5xxl, diffusion.LLM: p.llm}
}

// First is the first part that a flag names; "" for none.
func (p *PartFlags) First() diffusion.Part {
	if list := p.all().List(); len(list) > 0 {
		return list[0]
	}
	return ""
}

// Files are the parts that flags name, nil for none. A file that is not there is an error.
func (p *PartFlags) Files() (diffusion.Parts, error) {
	var files diffusion.Parts
	all := p.all()
	for _, part := range all.List() {
		if _, err := os.Stat(all[part]); err != nil {
			return nil, cli.Inputf("%s: %w", all[part], cli.Cause(err))
		}
		if files == nil {
			files = diffusion.Parts{}
		}
		files[part] = all[part]
	}
	return files, nil
}

// PartsOf are the parts of a stored model that lie beside the file that draws; nil for a file.
func PartsOf(stored *store.Resolved) diffusion.Parts {
	if stored == nil {
		return nil
	}
	return stored.Parts
}
