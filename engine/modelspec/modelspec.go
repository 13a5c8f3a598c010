// Package modelspec describes which model to load and how. It finds mistakes in the options, and in
// the headers of the files, before anything is loaded.
package modelspec

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// DefaultContext is the context length, in tokens, of a model that was trained for at least as
// much.
const DefaultContext = 4096

// DefaultParallel is the number of requests of a model that are computed at a time.
const DefaultParallel = 4

// KeptSequences is how many finished sequences stay as cache beside the running ones. More would
// allow more prompts to share a beginning, but libllama has 256 sequences, and cells run out first.
const KeptSequences = 28

const (
	// NoDevice, as Spec.Device, keeps all of a model on the CPU. "cpu" means the same.
	NoDevice = "none"
	// AutoDevice, as Spec.VisionDevice, means the faster device; so does an empty text.
	AutoDevice = "auto"
)

// Adapter is a LoRA adapter (Hu et al. 2021) in a GGUF file.
type Adapter struct {
	Path  string
	Scale float32 // how strongly it counts; 0 means 1
}

// Spec says which model to load and how. Only Model is required.
type Spec struct {
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
	// VisionPrecision is the arithmetic of native towers: "f32", "bf16", "int8", "int16", or
	// "auto", which empty means, for bf16 where the processor multiplies it, else int16 where that
	// is faster, else f32.
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

	// ByManifest tells that the model's own parameters say where it lies, as
	// [Spec.TakePlacement] found.
	ByManifest bool
	// MicroBatch is how many entries of a batch libllama computes at once; 0 means its own default.
	MicroBatch int
}

var cacheTypes = map[string]ggml.Type{"": ggml.F16, "f16": ggml.F16, "f32": ggml.F32,
	"bf16": ggml.BF16, "q8_0": ggml.Q8_0,
	"q5_1": ggml.Q5_1, "q5_0": ggml.Q5_0, "q4_1": ggml.Q4_1, "q4_0": ggml.Q4_0}

// Check finds mistakes that show before anything is loaded, fills in what was left out of what
// requests may share, and returns what the context is made with.
func (spec *Spec) Check() (llama.ContextParams, error) {
	if spec.Model == "" {
		return llama.ContextParams{}, fmt.Errorf("%w: no model file given", fault.ErrModelFile)
	}
	params, err := spec.ContextParams()
	if err != nil {
		return params, err
	}
	if err := spec.checkVision(); err != nil {
		return params, err
	}
	if err := spec.checkScheduling(); err != nil {
		return params, err
	}
	width, err := CheckLanguageModel(spec.Model)
	if err != nil || spec.Projector == "" {
		return params, err
	}
	return params, checkProjector(spec.Projector, spec.Model, width)
}

// ContextParams checks and translates what is known of a context before the model is loaded. Errors
// are those of a request.
func (spec *Spec) ContextParams() (llama.ContextParams, error) {
	t, ok := cacheTypes[strings.ToLower(spec.CacheType)]
	if !ok {
		return llama.ContextParams{}, fmt.Errorf("%w: unknown type %q of the KV cache; "+
			"known are f16, f32, bf16, q8_0, q5_1, q5_0, q4_1 and q4_0", fault.ErrRequest,
			spec.CacheType)
	}
	if spec.Context < 0 || spec.Context > 1<<24 {
		return llama.ContextParams{}, fmt.Errorf("%w: a context of %d tokens", fault.ErrRequest,
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

// checkScheduling finds mistakes in what requests may share, and fills in what was left out.
func (spec *Spec) checkScheduling() error {
	if spec.Parallel == 0 {
		spec.Parallel = DefaultParallel
	}
	if most := llama.MaxSequences() - KeptSequences; spec.Parallel < 1 || spec.Parallel > most {
		return fmt.Errorf("%w: %d requests at a time; give 1 to %d", fault.ErrRequest,
			spec.Parallel, most)
	}
	if spec.Queue < 0 || spec.MaxGap < 0 || spec.StateBytes < 0 || spec.DecodeBytes < 0 {
		return fmt.Errorf("%w: a queue of %d, a gap of %v, %d bytes of saved conversations, "+
			"%d of decoded pictures; none may be negative", fault.ErrRequest, spec.Queue,
			spec.MaxGap, spec.StateBytes, spec.DecodeBytes)
	}
	return nil
}

// checkVision finds mistakes in the choices for the vision tower.
func (spec *Spec) checkVision() error {
	switch spec.Encoder {
	case "", EncoderAuto, EncoderNative, EncoderMtmd, EncoderPlain:
	default:
		return fmt.Errorf("%w: unknown vision encoder %q; known are auto, native, mtmd and plain",
			fault.ErrRequest, spec.Encoder)
	}
	if _, err := nn.ParsePrecision(cmp.Or(spec.VisionPrecision, "auto")); err != nil {
		return fmt.Errorf("%w: %s", fault.ErrRequest, strings.TrimPrefix(err.Error(), "nn: "))
	}
	return nil
}

// Precision is the arithmetic of native towers, which [Spec.Check] has approved.
func (spec *Spec) Precision() nn.Precision {
	p, _ := nn.ParsePrecision(cmp.Or(spec.VisionPrecision, "auto"))
	return p
}

// FileName is the name of the model's file, without its folder and its extension.
func (spec *Spec) FileName() string {
	return strings.TrimSuffix(filepath.Base(spec.Model), filepath.Ext(spec.Model))
}

// TakeTemplate sets the template of a stored model, in Jinja or in Go's language; "" leaves the
// model's own.
func (spec *Spec) TakeTemplate(source string) {
	switch {
	case source == "":
	case chat.IsJinja(source):
		spec.ChatTemplate = source
	default:
		spec.GoTemplate = source
	}
}

// Notify tells the user what is otherwise than was asked for.
func (spec *Spec) Notify(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if spec.Notice != nil {
		spec.Notice(text)
	} else {
		slog.Warn(text)
	}
}

// Placed reports whether the spec says anything of where the model is to lie.
func (spec *Spec) Placed() bool {
	return spec.Device != "" || spec.RPC != "" || spec.GPULayers != 0 ||
		spec.TensorSplit != nil || spec.VisionDevice != ""
}

// TakePlacement lets the model lie where its manifest wants it, unless the spec says anything of
// that: so many layers as for [Spec.TakeLayers], devices by name, and shares of them; nil
// where the manifest says nothing.
func (spec *Spec) TakePlacement(layers *int, device, visionDevice *string,
	split []float32) {
	if spec.Placed() {
		return
	}
	if layers != nil {
		spec.TakeLayers(*layers)
	}
	if device != nil {
		spec.Device = *device
	}
	if visionDevice != nil {
		spec.VisionDevice = *visionDevice
	}
	spec.TensorSplit = split
	spec.ByManifest = spec.Placed()
}

// TakeLayers sets GPULayers to a count as Ollama has it: negative for all that there is room for, 0
// for none.
func (spec *Spec) TakeLayers(n int) {
	switch spec.GPULayers = n; {
	case n < 0:
		spec.GPULayers = 0
	case n == 0:
		spec.GPULayers = -1
	}
}
