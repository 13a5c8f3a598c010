package llama

// SetContext sets the number of tokens of the context; 0 means what the model was trained for, at
// most 4096.
func SetContext(value int) ModelOption {
	return func(p *ModelOptions) { p.ContextSize = value }
}

// SetModelSeed is without effect: predictions have seeds of their own.
func SetModelSeed(value int) ModelOption {
	return func(p *ModelOptions) { p.Seed = value }
}

// SetNBatch is without effect on answers: the portions of a prompt follow from the machine's speed.
func SetNBatch(value int) ModelOption {
	return func(p *ModelOptions) { p.NBatch = value }
}

// SetMMap maps the model's file into memory, or reads it.
func SetMMap(value bool) ModelOption {
	return func(p *ModelOptions) { p.MMap = value }
}

// SetGPULayers sets the number of layers on GPUs: 0 for none, negative for all.
func SetGPULayers(value int) ModelOption {
	return func(p *ModelOptions) { p.NGPULayers = value }
}

// SetMainGPU sets the number of the GPU for what is not split.
func SetMainGPU(value string) ModelOption {
	return func(p *ModelOptions) { p.MainGPU = value }
}

// SetTensorSplit sets the shares of GPUs, separated by commas or slashes.
func SetTensorSplit(value string) ModelOption {
	return func(p *ModelOptions) { p.TensorSplit = value }
}

// WithRopeFreqBase sets the base frequency of the rotary position embedding; 0 and 10000 mean the
// model's own.
func WithRopeFreqBase(value float32) ModelOption {
	return func(p *ModelOptions) { p.FreqRopeBase = value }
}

// WithRopeFreqScale sets the frequency scale of the rotary position embedding; 0 and 1 mean the
// model's own.
func WithRopeFreqScale(value float32) ModelOption {
	return func(p *ModelOptions) { p.FreqRopeScale = value }
}

// SetLoraAdapter applies a LoRA adapter, a GGUF file.
func SetLoraAdapter(value string) ModelOption {
	return func(p *ModelOptions) { p.LoraAdapter = value }
}

// SetLoraBase is without effect: adapters are applied beside the weights, of whatever precision.
func SetLoraBase(value string) ModelOption {
	return func(p *ModelOptions) { p.LoraBase = value }
}

// SetPerplexity is without effect: outputs are computed where they are needed.
func SetPerplexity(value bool) ModelOption {
	return func(p *ModelOptions) { p.Perplexity = value }
}

// SetMMProj gives the model eyes: the GGUF file of its vision tower and projector, usually named
// mmproj-*.gguf.
func SetMMProj(value string) ModelOption {
	return func(p *ModelOptions) { p.MMProj = value }
}

// SetMulMatQ is without effect: llama.cpp chooses the products itself.
func SetMulMatQ(value bool) ModelOption {
	return func(p *ModelOptions) { p.MulMatQ = &value }
}

// EnableF16Memory keeps keys and values in half precision, which takes half the memory.
var EnableF16Memory ModelOption = func(p *ModelOptions) { p.F16Memory = true }

// EnableEmbeddings allows Embeddings and TokenEmbeddings.
var EnableEmbeddings ModelOption = func(p *ModelOptions) { p.Embeddings = true }

// EnableMLock keeps weights from being swapped out, as far as the system's limit allows.
var EnableMLock ModelOption = func(p *ModelOptions) { p.MLock = true }

// EnabelLowVRAM is without effect: llama.cpp has no such mode any more.
var EnabelLowVRAM ModelOption = func(p *ModelOptions) { p.LowVRAM = true }

// EnableNUMA is without effect: memory is placed where the compute threads first touch it.
var EnableNUMA ModelOption = func(p *ModelOptions) { p.NUMA = true }
