package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// DefaultContext is the context length, in tokens, of a model that was trained for at least as
// much.
const DefaultContext = 4096

// ModelSpec says which model to load and how. Only Model is required.
type ModelSpec struct {
	// Name is what to call the model if its file does not say; empty for the file's name.
	Name  string
	Model string // GGUF file of the language model; the first file of a split one
	// GGUF file of the vision tower and projector ("mmproj"); empty for a text model
	Projector string

	// Context is the length of the KV cache in tokens; 0 means DefaultContext, or what the model
	// was trained for if less.
	Context int
	// GPULayers is the number of layers to place on GPUs: 0 means all that are offered, negative
	// means none.
	GPULayers int
	// Device names the GPUs to use, with commas between them, as ggml names them ("Vulkan0"): empty
	// for all, [NoDevice] or "cpu" for none.
	Device string
	// RPC names servers of this site, as HOST:PORT with commas between them, that take layers
	// beside this machine's GPUs; empty for none. Their devices are called RPC0, RPC1 and so on.
	RPC string
	// VisionDevice names the GPU that runs the vision tower; [NoDevice] or "cpu" for the CPU. Empty
	// or [AutoDevice] takes the first of the model's GPUs where that was measured to be faster than
	// the CPU, or where libmtmd runs the tower.
	VisionDevice string
	// MainGPU is the GPU that takes what is not split, TensorSplit the share of layers of each
	// device, in proportion; nil divides them by free memory.
	MainGPU     int
	TensorSplit []float32
	// NoMap reads weights into memory instead of mapping the file. Shared leaves the choice to
	// libllama, which maps it for a CPU, so that processes share the memory and loading is short;
	// with neither, it is read where answers come faster for that and there is memory for it. Lock
	// keeps weights from being swapped out, as far as the system's limit of locked memory allows.
	NoMap, Shared, Lock bool
	// Adapters are LoRA adapters that are applied to the model.
	Adapters []Adapter
	// RopeBase and RopeScale replace the base frequency and the frequency scale of the model's
	// rotary position embedding; 0 means its own.
	RopeBase, RopeScale float32
	// CacheType is the type of the KV cache: "f16" (the default), "f32", "bf16", "q8_0", "q5_1",
	// "q5_0", "q4_1", "q4_0".
	CacheType string
	// ChatTemplate replaces the model's own: Jinja source, or one of the names "vicuna", "llava",
	// "chatml".
	ChatTemplate string
	// GoTemplate is a template in the language of Go's text/template, as Ollama's manifests have
	// them. It is used where ChatTemplate is empty.
	GoTemplate string

	// Encoder says who runs the vision tower: one of the Encoder constants, empty for
	// [EncoderAuto].
	Encoder string
	// VisionPrecision is the arithmetic of native towers: "f32", "bf16", "int8", or "auto", which
	// empty means, for bf16 where the processor has it and else f32.
	VisionPrecision string
	// ExactImages decodes photos at full size. Else a JPEG may be shrunk while it is decoded, to no
	// less than twice the size that the tower sees, which changes samples of the tower's picture by
	// 0.1 to 0.5 of 255 in the mean: see imaging.ScaleMargin.
	ExactImages bool

	// Parallel is the most requests that are computed at a time; 0 means DefaultParallel. They
	// share the cells of Context.
	Parallel int
	// Queue is the most requests that wait for their turn; more get ErrBusy. 0 means 256.
	Queue int
	// ExpectedAnswer is how many tokens of an answer are counted on when a request is let in, or
	// its MaxTokens if those are fewer; 0 means 128. Where answers get longer and cells run out,
	// requests are preempted and go on later.
	ExpectedAnswer int
	// MaxGap is the time between two tokens of a running answer that prompts and pictures of others
	// should not exceed; 0 means 250 ms.
	MaxGap time.Duration
	// NoSpeculation computes one token of an answer at a time, and guesses none ahead.
	NoSpeculation bool
	// Draft is the GGUF file of a small language model of the same vocabulary, which guesses tokens
	// ahead where the text does not repeat itself; empty for none. It sees no pictures. The answers
	// are the same with it.
	Draft string
	// ImageBytes is how much memory embeddings of pictures may take, so that a picture is not
	// encoded again; 0 means 512 MiB.
	ImageBytes int64
	// DecodeBytes is how much memory pictures may take while they are decoded and wait to be
	// encoded; 0 means 128 MiB. One that alone takes more is decoded alone.
	DecodeBytes int64
	// StateDir is a folder for encoded pictures and for the beginnings of conversations that the KV
	// cache gives up, so that they can go on after a restart; empty for none. StateBytes bounds the
	// conversations there; 0 means 8 GiB.
	StateDir   string
	StateBytes int64

	// Notice is called with a sentence for the user, where the model is loaded otherwise than was
	// asked for; nil logs it.
	Notice func(text string)
	// Progress is called while the model loads, with a fraction from 0 to 1.
	Progress func(fraction float64)

	// the model's own parameters say where it lies
	byManifest bool
	fewer      bool // GPULayers is less than what was tried before
	// entries that libllama computes at once; 0 means its own default. Tests learn from it what the
	// shape of a batch changes
	microBatch int
}

var cacheTypes = map[string]ggml.Type{"": ggml.F16, "f16": ggml.F16, "f32": ggml.F32,
	"bf16": ggml.BF16, "q8_0": ggml.Q8_0,
	"q5_1": ggml.Q5_1, "q5_0": ggml.Q5_0, "q4_1": ggml.Q4_1, "q4_0": ggml.Q4_0}

// check finds mistakes that show before anything is loaded, fills in what was left out of what
// requests may share, and returns what the context is made with.
func (spec *ModelSpec) check() (llama.ContextParams, error) {
	if spec.Model == "" {
		return llama.ContextParams{}, fmt.Errorf("%w: no model file given", ErrModelFile)
	}
	params, err := spec.contextParams()
	if err != nil {
		return params, err
	}
	if err := spec.checkVision(); err != nil {
		return params, err
	}
	if err := spec.checkScheduling(); err != nil {
		return params, err
	}
	width, err := checkLanguageModel(spec.Model)
	if err != nil || spec.Projector == "" {
		return params, err
	}
	return params, checkProjector(spec.Projector, spec.Model, width)
}

// contextParams checks and translates what can be known before the model is loaded.
func (spec *ModelSpec) contextParams() (llama.ContextParams, error) {
	t, ok := cacheTypes[strings.ToLower(spec.CacheType)]
	if !ok {
		return llama.ContextParams{},
			fmt.Errorf("%w: unknown type %q of the KV cache; known are f16, f32, bf16, q8_0, q5_1, q5_0, q4_1 and q4_0", ErrRequest, spec.CacheType)
	}
	if spec.Context < 0 || spec.Context > 1<<24 {
		return llama.ContextParams{}, fmt.Errorf("%w: a context of %d tokens", ErrRequest,
			spec.Context)
	}
	p := llama.ContextParams{NCtx: spec.Context, TypeK: t, TypeV: t, ExactCache: true}
	if t == ggml.F32 {
		// Fused attention turns keys and values into float16 first, and libggml's own adds the
		// products up in float16 as well.
		p.FlashAttention = llama.FlashOff
	}
	return p, nil
}

// modelParams says how the model's file is loaded.
func (spec *ModelSpec) modelParams(ctx context.Context) (p llama.ModelParams, err error) {
	p = llama.ModelParams{GPULayers: spec.GPULayers, MainGPU: spec.MainGPU,
		TensorSplit: spec.TensorSplit, Progress: spec.Progress, Shared: spec.Shared}
	if p.GPULayers < 0 {
		p.GPULayers = llama.NoGPULayers
	}
	if p.Devices, err = spec.gpus(ctx); err != nil {
		return p, err
	}
	switch {
	case spec.Lock && spec.NoMap:
		p.LoadMode = llama.LoadMlock
	case spec.Lock:
		p.LoadMode = llama.LoadMmapMlock
	case spec.NoMap:
		p.LoadMode = llama.LoadRead
	}
	return p, nil
}

// checkScheduling finds mistakes in what requests may share, and fills in what was left out.
func (spec *ModelSpec) checkScheduling() error {
	if spec.Parallel == 0 {
		spec.Parallel = DefaultParallel
	}
	if most := llama.MaxSequences() - keptSequences; spec.Parallel < 1 || spec.Parallel > most {
		return fmt.Errorf("%w: %d requests at a time; give 1 to %d", ErrRequest, spec.Parallel,
			most)
	}
	if spec.Queue < 0 || spec.MaxGap < 0 || spec.StateBytes < 0 || spec.DecodeBytes < 0 {
		return fmt.Errorf("%w: a queue of %d, a gap of %v, %d bytes of saved conversations, %d of decoded pictures; none may be negative", ErrRequest, spec.Queue, spec.MaxGap, spec.StateBytes, spec.DecodeBytes)
	}
	return nil
}
