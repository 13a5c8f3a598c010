package llama

// ModelOptions are the options of New. Zero values are not the defaults: start from
// DefaultModelOptions or NewModelOptions.
type ModelOptions struct {
	// tokens of the context; 0 means what the model was trained for, at most 4096
	ContextSize int
	Seed        int    // without effect: predictions have seeds of their own
	NBatch      int    // without effect on answers: portions follow from the machine's speed
	F16Memory   bool   // half-precision cache of keys and values; else single precision
	MLock       bool   // keep weights from being swapped out
	MMap        bool   // map the file instead of reading it
	LowVRAM     bool   // without effect
	Embeddings  bool   // allow Embeddings and TokenEmbeddings
	NUMA        bool   // without effect
	NGPULayers  int    // layers on GPUs: 0 for none, negative for all
	MainGPU     string // number of the GPU for what is not split
	TensorSplit string // shares of the GPUs, separated by commas or slashes
	// base frequency of the rotary position embedding; 0 and 10000 mean the model's own
	FreqRopeBase float32
	// frequency scale of the rotary position embedding; 0 and 1 mean the model's own
	FreqRopeScale float32
	MulMatQ       *bool // without effect
	// without effect: adapters are applied beside the weights, not added to them
	LoraBase    string
	LoraAdapter string // LoRA adapter in GGUF
	Perplexity  bool   // without effect: outputs are computed where they are needed
	MMProj      string // GGUF file of the vision tower and projector ("mmproj")
}

// PredictOptions are the options of predictions. Zero values are not the defaults: start from
// DefaultOptions or NewPredictOptions.
type PredictOptions struct {
	Seed    int // of random choices; -1 draws one
	Threads int // most compute threads; no more than there are cores are used
	Tokens  int // most tokens to predict; 0 or less for no limit
	TopK    int // most probable tokens that stay; 0 or less for all
	// tokens that penalties look back on: 0 for none, negative for the whole context
	Repeat      int
	Batch       int     // without effect on answers: portions follow from the machine's speed
	NKeep       int     // tokens of the prompt that stay when the context is full; negative for all
	TopP        float32 // probability of the most probable tokens that stay: 1 for all, 0 for one
	Temperature float32 // 0 or less takes the most probable token
	Penalty     float32 // divides the logits of tokens that were there; 1 is off
	// most tokens that SpeculativeSampling guesses at a time; 0 leaves it to the engine
	NDraft      int
	F16KV       bool // without effect: see ModelOptions.F16Memory
	DebugMode   bool // tell on standard error what a prediction did
	StopPrompts []string
	IgnoreEOS   bool // go on where the model would end

	TailFreeSamplingZ float32 // 1 or 0, see SetTailFreeSamplingZ
	TypicalP          float32 // locally typical sampling: 1 is off, 0 lets one token stay
	FrequencyPenalty  float32
	PresencePenalty   float32
	Mirostat          int // 0 for off, 1 or 2 for the version
	MirostatETA       float32
	MirostatTAU       float32
	PenalizeNL        bool // penalties count for the newline too
	// "TOKEN+BIAS" or "TOKEN-BIAS", several separated by commas
	LogitBias     string
	TokenCallback func(token string) bool // see SetTokenCallback

	PathPromptCache string // file that holds the computed prompt
	MLock           bool   // without effect: see ModelOptions.MLock
	MMap            bool   // without effect: see ModelOptions.MMap
	PromptCacheAll  bool   // the prompt cache holds the answer too
	PromptCacheRO   bool   // the prompt cache is read and not written
	Grammar         string // GBNF grammar with a rule "root"
	MainGPU         string // without effect: see ModelOptions.MainGPU
	TensorSplit     string // without effect: see ModelOptions.TensorSplit

	RopeFreqBase  float32 // must be what New was given, 10000 or 0
	RopeFreqScale float32 // must be what New was given, 1 or 0

	// strength of the guidance away from NegativePrompt; 1 or less is off
	NegativePromptScale float32
	NegativePrompt      string

	Images []Image // see SetImages
}

// ModelOption changes an option of New.
type ModelOption func(p *ModelOptions)

// PredictOption changes an option of a prediction.
type PredictOption func(p *PredictOptions)

// DefaultModelOptions are what options of New start from.
var DefaultModelOptions = ModelOptions{ContextSize: 512, MMap: true, NBatch: 512,
	FreqRopeBase: 10000, FreqRopeScale: 1}

// DefaultOptions are what options of predictions start from.
var DefaultOptions = PredictOptions{
	Seed: -1, Threads: 4, Tokens: 128, Penalty: 1.1, Repeat: 64, Batch: 512, NKeep: 64, TopK: 40,
	TopP: 0.95, Temperature: 0.8,
	TailFreeSamplingZ: 1, TypicalP: 1, MirostatTAU: 5, MirostatETA: 0.1, MMap: true,
	RopeFreqBase: 10000, RopeFreqScale: 1,
}

// NewModelOptions returns DefaultModelOptions with changes.
func NewModelOptions(opts ...ModelOption) ModelOptions {
	p := DefaultModelOptions
	for _, change := range opts {
		if change != nil {
			change(&p)
		}
	}
	return p
}

// NewPredictOptions returns DefaultOptions with changes.
func NewPredictOptions(opts ...PredictOption) PredictOptions {
	p := DefaultOptions
	for _, change := range opts {
		if change != nil {
			change(&p)
		}
	}
	return p
}
