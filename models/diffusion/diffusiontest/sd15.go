package diffusiontest

import "fmt"

// The sizes of Stable Diffusion 1.5, from v1-inference.yaml of
// https://github.com/CompVis/stable-diffusion.
const (
	unetWidth    = 320 // channels of the U-net's first level
	unetTime     = 1280
	textWidth    = 768
	textLayers   = 12
	textTokens   = 49408
	textLength   = 77
	vaeWidth     = 128
	latentDepth  = 4
	levels       = 4
	unetResidual = 2 // residual blocks of a level on the way down; one more on the way up
)

// multiples of the width at each level, of the U-net and of the VAE alike.
var multiples = [levels]int{1, 2, 4, 4}

// list collects tensors.
type list struct{ tensors []Tensor }

// SD15 lists the tensors of Stable Diffusion 1.5 as its published file names them, the indices of
// positions apart, which are no weights.
func SD15() []Tensor {
	var l list
	l.unet("model.diffusion_model.")
	l.vae("first_stage_model.", latentDepth)
	l.text("cond_stage_model.transformer.text_model.")
	return l.tensors
}

func (l *list) add(name string, shape ...int) { l.tensors = append(l.tensors, Tensor{name, shape}) }

// both adds the weights of a layer and its bias, which has as many values as the weights' first
// dimension.
func (l *list) both(name string, shape ...int) {
	l.add(name+".weight", shape...)
	l.add(name+".bias", shape[0])
}

// conv adds a convolution of size by size.
func (l *list) conv(name string, in, out, size int) { l.both(name, out, in, size, size) }

func (l *list) unet(p string) {
	l.both(p+"time_embed.0", unetTime, unetWidth)
	l.both(p+"time_embed.2", unetTime, unetTime)
	l.conv(p+"input_blocks.0.0", latentDepth, unetWidth, 3)
	skips, channels, index := []int{unetWidth}, unetWidth, 1
	for level, multiple := range multiples {
		out := unetWidth * multiple
		for range unetResidual {
			block := fmt.Sprintf("%sinput_blocks.%d.", p, index)
			l.residual(block+"0.", channels, out)
			if level < levels-1 {
				l.attention(block+"1.", out)
			}
			channels, skips, index = out, append(skips, out), index+1
		}
		if level < levels-1 {
			l.conv(fmt.Sprintf("%sinput_blocks.%d.0.op", p, index), channels, channels, 3)
			skips, index = append(skips, channels), index+1
		}
	}
	l.residual(p+"middle_block.0.", channels, channels)
	l.attention(p+"middle_block.1.", channels)
	l.residual(p+"middle_block.2.", channels, channels)
	index = 0
	for level := levels - 1; level >= 0; level-- {
		out := unetWidth * multiples[level]
		for i := range unetResidual + 1 {
			block := fmt.Sprintf("%soutput_blocks.%d.", p, index)
			l.residual(block+"0.", channels+skips[len(skips)-1], out)
			channels, skips, index = out, skips[:len(skips)-1], index+1
			next := 1
			if level < levels-1 {
				l.attention(block+"1.", out)
				next = 2
			}
			if level > 0 && i == unetResidual {
				l.conv(fmt.Sprintf("%s%d.conv", block, next), out, out, 3)
			}
		}
	}
	l.both(p+"out.0", unetWidth)
	l.conv(p+"out.2", unetWidth, latentDepth, 3)
}

func (l *list) residual(p string, in, out int) {
	l.both(p+"in_layers.0", in)
	l.conv(p+"in_layers.2", in, out, 3)
	l.both(p+"emb_layers.1", out, unetTime)
	l.both(p+"out_layers.0", out)
	l.conv(p+"out_layers.3", out, out, 3)
	if in != out {
		l.conv(p+"skip_connection", in, out, 1)
	}
}

func (l *list) attention(p string, n int) {
	l.both(p+"norm", n)
	l.conv(p+"proj_in", n, n, 1)
	block := p + "transformer_blocks.0."
	for _, a := range []struct {
		name    string
		context int
	}{{"attn1", n}, {"attn2", textWidth}} {
		l.add(block+a.name+".to_q.weight", n, n)
		l.add(block+a.name+".to_k.weight", n, a.context)
		l.add(block+a.name+".to_v.weight", n, a.context)
		l.both(block+a.name+".to_out.0", n, n)
	}
	l.both(block+"ff.net.0.proj", 8*n, n)
	l.both(block+"ff.net.2", n, 4*n)
	for _, norm := range []string{"norm1", "norm2", "norm3"} {
		l.both(block+norm, n)
	}
	l.conv(p+"proj_out", n, n, 1)
}

// vae adds the VAE of latents of so many channels. FLUX's, of 16, has no layers for quantization.
func (l *list) vae(p string, latents int) {
	quant := latents == latentDepth
	deep := vaeWidth * multiples[levels-1]
	l.conv(p+"encoder.conv_in", 3, vaeWidth, 3)
	channels := vaeWidth
	for level, multiple := range multiples {
		for i := range 2 {
			l.vaeBlock(fmt.Sprintf("%sencoder.down.%d.block.%d.", p, level, i), channels,
				vaeWidth*multiple)
			channels = vaeWidth * multiple
		}
		if level < levels-1 {
			l.conv(fmt.Sprintf("%sencoder.down.%d.downsample.conv", p, level), channels, channels,
				3)
		}
	}
	l.vaeMiddle(p+"encoder.mid.", deep)
	l.both(p+"encoder.norm_out", deep)
	l.conv(p+"encoder.conv_out", deep, 2*latents, 3)
	if quant {
		l.conv(p+"quant_conv", 2*latents, 2*latents, 1)
		l.conv(p+"post_quant_conv", latents, latents, 1)
	}
	l.conv(p+"decoder.conv_in", latents, deep, 3)
	l.vaeMiddle(p+"decoder.mid.", deep)
	for level := levels - 1; level >= 0; level-- {
		for i := range 3 {
			l.vaeBlock(fmt.Sprintf("%sdecoder.up.%d.block.%d.", p, level, i), channels,
				vaeWidth*multiples[level])
			channels = vaeWidth * multiples[level]
		}
		if level > 0 {
			l.conv(fmt.Sprintf("%sdecoder.up.%d.upsample.conv", p, level), channels, channels, 3)
		}
	}
	l.both(p+"decoder.norm_out", channels)
	l.conv(p+"decoder.conv_out", channels, 3, 3)
}

func (l *list) vaeBlock(p string, in, out int) {
	l.both(p+"norm1", in)
	l.conv(p+"conv1", in, out, 3)
	l.both(p+"norm2", out)
	l.conv(p+"conv2", out, out, 3)
	if in != out {
		l.conv(p+"nin_shortcut", in, out, 1)
	}
}

func (l *list) vaeMiddle(p string, n int) {
	l.vaeBlock(p+"block_1.", n, n)
	l.both(p+"attn_1.norm", n)
	for _, name := range []string{"q", "k", "v", "proj_out"} {
		l.conv(p+"attn_1."+name, n, n, 1)
	}
	l.vaeBlock(p+"block_2.", n, n)
}

func (l *list) text(p string) {
	l.add(p+"embeddings.token_embedding.weight", textTokens, textWidth)
	l.add(p+"embeddings.position_embedding.weight", textLength, textWidth)
	for i := range textLayers {
		layer := fmt.Sprintf("%sencoder.layers.%d.", p, i)
		for _, name := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
			l.both(layer+"self_attn."+name, textWidth, textWidth)
		}
		l.both(layer+"layer_norm1", textWidth)
		l.both(layer+"layer_norm2", textWidth)
		l.both(layer+"mlp.fc1", 4*textWidth, textWidth)
		l.both(layer+"mlp.fc2", textWidth, 4*textWidth)
	}
	l.both(p+"final_layer_norm", textWidth)
}
