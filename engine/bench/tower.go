// Package bench measures.
//
// [Vision] tells how fast vision towers encode pictures on this machine, and how right: the towers
// of this project in each of their precisions beside libmtmd's, all in one process and in turns, so
// that a busy machine slows all of them alike.
//
//	report, err := bench.Vision(ctx, bench.VisionOptions{Projector: "mmproj.gguf"})
//
// [Quants] tells what quantizations of a model cost and bring: a matrix of jobs, each of which
// [RunJob] runs, best in a process of its own, with [Results] that are saved after each. [Imatrix]
// collects importance matrices, by the same ways of reading text and asking about pictures.
//
// [OpenTower] and [Encode] are what it is made of: a tower by its name, and an encoding with the
// time of each stage. Encode computes on the OpenMP team of the calling thread; [OnThread] gives it
// one.
package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// Backends are the names of the implementations that run towers: "auto" is native for towers that
// package vision knows, and mtmd for others.
func Backends() []string { return []string{"auto", "native", "mtmd", "plain"} }

// accelerated is the backend of [Vision] that is libmtmd with the accelerator (kernels/accel).
const accelerated = "mtmd-accelerated"

// TowerOptions say how a tower is run. The zero value is the usual way.
type TowerOptions struct {
	Backend   string       // one of [Backends]; "" means auto
	Precision nn.Precision // of the backend native alone
	Threads   int          // 0 means GOMAXPROCS
	Layout    vision.Layout
	Collector *llama.Collector // adds up the inputs of the matrices, of libmtmd alone
}

// Tower is a tower that was opened, with what opening it took.
type Tower struct {
	vision.Encoder
	Load time.Duration
	// of the weights in memory, packed where the backend packs them; of libmtmd as they are in the
	// file
	WeightBytes int64
}

// OpenTower loads the tower in an mmproj file. The error wraps engine.ErrModelFile for a file that
// is at fault, and engine.ErrRequest for an unknown backend.
func OpenTower(ctx context.Context, path string, opt TowerOptions) (*Tower, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrModelFile, err)
	}
	defer f.Close()
	backend, err := chooseBackend(f, opt.Backend)
	if err != nil {
		return nil, err
	}
	t, start := &Tower{}, time.Now()
	options := vision.Options{Layout: opt.Layout}
	switch backend {
	case "mtmd", accelerated:
		t.Encoder, err = vision.AsEncoder(libmtmd.Open(ctx, path, libmtmd.Options{
			Threads: opt.Threads, NoAccelerator: backend == "mtmd", Collector: opt.Collector}))
		for _, tensor := range f.Tensors() {
			t.WeightBytes += tensor.Size()
		}
	case "plain":
		t.Encoder, err = vision.AsEncoder(vision.OpenPlain(path, options))
		for _, tensor := range f.Tensors() {
			t.WeightBytes += 4 * int64(tensor.Elements())
		}
	default:
		var native *vision.Native
		if native, err = vision.OpenNative(path, vision.NativeOptions{Options: options,
			Precision: opt.Precision, Threads: opt.Threads}); err == nil {
			t.Encoder, t.WeightBytes = native, int64(native.WeightBytes())
		}
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", engine.ErrModelFile, err)
	}
	t.Load = time.Since(start)
	return t, nil
}

func chooseBackend(f *gguf.File, backend string) (string, error) {
	switch backend {
	case "native", "mtmd", "plain", accelerated:
		return backend, nil
	case "", "auto":
	default:
		return "", fmt.Errorf("%w: unknown backend %q", engine.ErrRequest, backend)
	}
	return modelspec.EncoderOf(f)
}

// Stages is the time of each stage of an encoding. The stages of backends that do not tell them
// apart are zero.
type Stages struct {
	Embedding time.Duration // patches, positions, first norm
	Blocks    time.Duration // transformer blocks
	Projector time.Duration
	Total     time.Duration
	Longest   time.Duration // of the steps between which a scheduler does other things
}

// Encode encodes an Input as vision.Encode does, a step at a time, and takes the time of the
// stages.
func Encode(ctx context.Context, e vision.Encoder,
	in *vision.Input) (rows []float32, s Stages, err error) {
	start := time.Now()
	for part := range max(in.Parts, 1) {
		more, err := encodePart(ctx, e, in, part, &s)
		if err != nil {
			return nil, s, err
		}
		rows = append(rows, more...)
	}
	s.Total = time.Since(start)
	return rows, s, nil
}

func encodePart(ctx context.Context, e vision.Encoder, in *vision.Input, part int,
	s *Stages) ([]float32, error) {
	job, err := e.Begin(in, part)
	if err != nil {
		return nil, err
	}
	defer job.Close()
	_, total := job.Progress()
	staged, known := job.(vision.Staged)
	for range total {
		var stage vision.Stage
		if known {
			stage = staged.Stage()
		}
		before := time.Now()
		if err := job.Advance(ctx, 1); err != nil {
			return nil, err
		}
		took := time.Since(before)
		s.Longest = max(s.Longest, took)
		switch {
		case !known:
		case stage == vision.Embedding:
			s.Embedding += took
		case stage == vision.InBlocks:
			s.Blocks += took
		default:
			s.Projector += took
		}
	}
	return job.Rows()
}

// OnThread runs f on an operating-system thread that nothing else uses, and waits for it. All that
// computes on OpenMP teams should be in one call, while nothing else in the process computes:
// libgomp keeps a team of workers for each thread.
func OnThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		// never unlocked: the thread ends with the goroutine, and its team with the thread
		runtime.LockOSThread()
		result <- f()
	}()
	return <-result
}

// Machine is what matrix products run on.
type Machine struct {
	ISA     string `json:"instruction_set"` // that oneDNN uses, as "avx2" or "avx512_core_bf16"
	BF16    bool   `json:"bf16"`            // whether the processor has products of bfloat16
	VNNI    bool   `json:"vnni"`            // whether it adds up 8-bit products in 32 bits
	OneDNN  string `json:"onednn"`          // the library's version
	Threads int    `json:"threads"`
}

// ThisMachine describes the machine, for a number of threads of which 0 means GOMAXPROCS.
func ThisMachine(threads int) Machine {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	cpu := onednn.CPU()
	return Machine{ISA: cpu.ISA, BF16: cpu.BF16, VNNI: cpu.VNNI, OneDNN: onednn.Version(),
		Threads: threads}
}
