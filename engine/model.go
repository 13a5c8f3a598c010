package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/prompt"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/engine/texts"
	"github.com/eyelet-engine/eyelet/engine/tower"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// Info describes a loaded model.
type Info struct {
	Name         string // general.name, or the file's name
	Architecture string
	Description  string // libllama's short name, for example "llama 7B Q4_K - Medium"
	Parameters   uint64
	Bytes        uint64            // weights of the language model
	Context      int               // length of the KV cache in tokens
	ContextTrain int               // length that the model was trained for
	Vision       string            // kind of vision encoder, empty for a text model
	Encoder      string            // what runs it: "native", "ggml", "plain" or "mtmd"
	Precision    string            // its arithmetic, where a native tower runs it
	Devices      []placement.Share // what lies on devices beside the CPU
	Sound        string            // kind of the encoder of sounds, empty where there is none
	// what speaks against trusting answers about pictures; empty for nothing
	Caution string
	// where the chat template comes from: "model", "given", "ollama", or the name of a fallback
	Template string
}

// Model is an open model. Its methods may be called from several goroutines, and several requests
// are answered at a time.
type Model struct {
	engine *Engine
	spec   ModelSpec // as Load was given it
	info   Info
	memory int64 // what Memory says
	load   time.Duration

	lm       *llama.Model
	lc       *llama.Context
	adapters adapters
	vision   vision.Encoder // nil for a text model
	ears     *libmtmd.Ears  // nil without an encoder of sounds
	dialogue *prompt.Dialogue
	ended    sync.Once
	ends     []Token // see endings

	cells           int    // items that a request can have
	pictureIdentity string // what the keys of pictures are made with
	shifts          bool   // positions in the cache can be moved
	pictures        *kv.Pictures
	decoder         *compute.Decoder
	draft           *drafter    // nil without ModelSpec.Draft and DraftWith; guarded by drafting
	drafting        sync.Mutex  // held while draft changes
	draftsOnCPU     atomic.Bool // whether the CPU computes layers of draft
	cache           *kv.Cache
	kept            multimodal.Kept
	images          *media.Cache   // nil for a text model, as jobs
	jobs            *media.Encoder // of the vision tower
	disk            *disk.Store    // nil without StateDir
	sched           *sched.Scheduler

	embedder *texts.Embedder
	scorer   *texts.Scorer

	mu        sync.Mutex
	borrowers map[*Model]struct{} // models that draft with this one
	over      bool                // no request begins any more
	requests  sync.WaitGroup      // under way; added to under mu

	closed context.Context
	end    context.CancelCauseFunc
	once   sync.Once
	err    error // of Close
}

// Load opens a model. It blocks until the model is ready, ctx is done, or something does not fit;
// errors wrap ErrModelFile or ErrMismatch and name the file.
func (e *Engine) Load(ctx context.Context, spec ModelSpec) (*Model, error) {
	start := time.Now()
	if err := e.beginLoad(); err != nil {
		return nil, err
	}
	defer e.loading.Done()
	m, err := e.load(ctx, spec)
	// of a number of layers that was asked for, nothing is taken away
	for fewer := spec; err != nil && spec.GPULayers == 0 &&
		placement.TakeFewer(&fewer, m.info.Devices, err); {
		if m, err = e.load(ctx, fewer); err == nil {
			placement.NotifyFewer(&fewer, m.info.Devices)
		}
	}
	if err != nil {
		if spec.ByManifest && errors.Is(err, ErrDevice) {
			err = fmt.Errorf("by its parameters (num_gpu, device, tensor_split, vision_device), "+
				"%s cannot be placed here: %w", spec.FileName(), err)
		}
		return nil, err
	}
	m.load = time.Since(start)
	if err := e.add(m); err != nil {
		_ = m.free()
		return nil, err
	}
	return m, nil
}

// load opens a model as spec says. With an error, the model is closed, and tells no more than where
// it was to lie.
func (e *Engine) load(ctx context.Context, spec ModelSpec) (*Model, error) {
	m := &Model{engine: e, spec: spec}
	m.closed, m.end = context.WithCancelCause(context.Background())
	err := m.open(ctx, spec)
	if err != nil {
		_ = m.free()
	}
	return m, err
}

// noContext is why a context could not be made: the model's fault, unless the caller gave up.
func noContext(ctx context.Context, err error) error {
	if ctx.Err() != nil || isCancelled(err) {
		return err
	}
	return fmt.Errorf("%w: its context cannot be made: %w", ErrModel, err)
}

// open loads the parts in the order in which mistakes are cheapest to find.
func (m *Model) open(ctx context.Context, spec ModelSpec) (err error) {
	params, err := spec.Check()
	if err != nil {
		return err
	}
	if err := llama.Init(); err != nil {
		return err
	}
	loading, err := placement.Begin(ctx, &spec)
	if err != nil {
		return err
	}
	defer func() { loading.End(err == nil) }()
	m.info.Devices = loading.Shares
	if err := m.openLanguage(ctx, spec.Model, loading.Params); err != nil {
		return err
	}
	if spec.Projector != "" {
		if m.vision, m.ears, err = tower.Open(ctx, &spec, tower.Host{Model: m.lm,
			Threads: m.engine.threads, Thread: m.engine.thread}); err != nil {
			return err
		}
		if share, ok := tower.Share(m.vision); ok {
			m.info.Devices = placement.Add(m.info.Devices, share)
		}
	}
	m.fitContext(spec, &params)
	if m.adapters, err = openAdapters(m.lm, spec.Adapters); err != nil {
		return err
	}
	if m.lc, err = m.newContext(ctx, params); err != nil {
		if errors.Is(err, llama.ErrNoMemory) {
			return fmt.Errorf("%w; give a shorter context or a smaller type of the cache", err)
		}
		return noContext(ctx, err)
	}
	if spec.Draft != "" && !spec.NoSpeculation {
		if err := m.openDraft(ctx, spec); err != nil {
			return err
		}
	}
	if err := m.openTemplate(spec); err != nil {
		return err
	}
	m.describe(spec)
	if m.memory, err = placement.MemoryBeside(&spec, m.info.Devices); err != nil {
		return err
	}
	if err := m.startScheduler(spec, params); err != nil {
		return err
	}
	m.readTexts(&spec)
	return nil
}

// openLanguage loads the language model.
func (m *Model) openLanguage(ctx context.Context, path string,
	params llama.ModelParams) (err error) {
	m.lm, err = llama.LoadModel(ctx, path, params)
	switch {
	case err == nil:
		return modelspec.CheckRotation(m.lm)
	case ctx.Err() != nil || errors.Is(err, ErrDeviceLost):
		return err
	case errors.Is(err, llama.ErrDeviceFull):
		return fmt.Errorf("%w: %w", ErrModel, err)
	}
	if bad := modelspec.CheckFile(path); bad != nil { // what libllama names by a line of its source
		return bad
	}
	return fmt.Errorf("%w: %w", ErrModelFile, err)
}

// openDraft loads the model that guesses tokens ahead, and counts what of it lies on devices.
func (m *Model) openDraft(ctx context.Context, spec ModelSpec) (err error) {
	if m.draft, err = openDrafter(ctx, spec, m); err != nil {
		return err
	}
	m.draftsOnCPU.Store(!m.draft.lm.OnDevices())
	for _, s := range m.draft.shares {
		s.Layers = 0 // which are not the model's
		m.info.Devices = placement.Add(m.info.Devices, s)
	}
	return nil
}

// newContext makes a context of the model with its adapters. Buffers are first touched, and
// libgomp's team first made, on the thread that will compute with them.
func (m *Model) newContext(ctx context.Context,
	p llama.ContextParams) (lc *llama.Context, err error) {
	err = m.engine.thread.Do(ctx, func() (err error) {
		lc, err = m.makeContext(p)
		return err
	})
	return lc, err
}

// secondContext is newContext for what is computed beside answers; what names it in errors.
func (m *Model) secondContext(ctx context.Context, p llama.ContextParams,
	what string) (*llama.Context, error) {
	lc, err := m.newContext(ctx, p)
	switch {
	case errors.Is(err, llama.ErrNoMemory):
		return nil, fmt.Errorf("%w; %s need a context of their own: give a shorter context", err,
			what)
	case err != nil:
		return nil, noContext(ctx, err)
	}
	return lc, nil
}

// makeContext is newContext for those who are on the compute thread.
func (m *Model) makeContext(p llama.ContextParams) (lc *llama.Context, err error) {
	p.RopeFreqBase, p.RopeFreqScale = m.spec.RopeBase, m.spec.RopeScale
	if lc, err = llama.NewContext(m.lm, p); err == nil && len(m.adapters.list) > 0 {
		err = lc.SetAdapters(m.adapters.list, m.adapters.scales)
	}
	if err != nil && lc != nil {
		_ = lc.Close()
	}
	return lc, err
}

// fitContext adds what depends on the model.
func (m *Model) fitContext(spec ModelSpec, p *llama.ContextParams) {
	p.Threads, p.NUBatch = m.engine.threads, spec.MicroBatch
	p.NSeqMax = spec.Parallel + modelspec.KeptSequences
	if m.rigid() || m.lm.NSWA() > 0 {
		p.NSeqMax = spec.Parallel // each takes memory of its own
		if compute.ReaderCells(m.lm, 0, spec.Parallel) > 0 {
			p.NSeqMax++ // the reader's way in
		}
	}
	if p.NCtx == 0 {
		p.NCtx = DefaultContext
		if train := m.lm.NCtxTrain(); train > 0 {
			p.NCtx = min(p.NCtx, train)
		}
	}
	// libllama makes 256 cells of fewer, but asserts before that each sequence has one.
	p.NCtx = max(p.NCtx, p.NSeqMax)
	if m.vision != nil && m.vision.Info().Whole > 0 {
		// Pictures that attend to themselves in both directions go through in one piece.
		p.NUBatch = max(512, m.vision.Info().Whole)
		p.NBatch = max(2048, p.NUBatch)
	}
}

// openTemplate finds the chat template and the vocabulary's control tokens.
func (m *Model) openTemplate(spec ModelSpec) (err error) {
	projector := ""
	switch {
	case m.vision != nil:
		projector = m.vision.Info().Projector
	case m.ears != nil:
		projector = m.ears.Info().Projector
	}
	if m.dialogue, err = prompt.NewDialogue(m.lm, spec.ChatTemplate, projector); err != nil {
		return err
	}
	if spec.GoTemplate != "" && spec.ChatTemplate == "" {
		m.dialogue.UseGo(spec.GoTemplate, cmp.Or(spec.Name, spec.Model))
	}
	m.info.Template = m.dialogue.Source()
	return nil
}

func (m *Model) describe(spec ModelSpec) {
	name, _ := m.lm.Meta("general.name")
	if name == "" {
		name = cmp.Or(spec.Name, spec.FileName())
	}
	arch, _ := m.lm.Meta("general.architecture")
	m.info.Name, m.info.Architecture, m.info.Description = name, arch, m.lm.Description()
	m.info.Parameters, m.info.Bytes = m.lm.NParams(), m.lm.Size()
	m.info.Context, m.info.ContextTrain = m.lc.NCtx(), m.lm.NCtxTrain()
	if m.ears != nil {
		m.info.Sound = m.ears.Info().Projector
	}
	if m.vision != nil {
		v := m.vision.Info()
		m.info.Vision, m.info.Encoder, m.info.Caution = v.Projector, v.Backend, v.Caution
		if v.Backend != EncoderMtmd {
			m.info.Precision = v.Precision
		}
	}
}

// Lost returns why the model answers nothing any more, or sees nothing: an error that wraps
// [ErrDeviceLost] where it is a device that failed. It is nil while all is well.
func (m *Model) Lost() error {
	if m.lm == nil {
		return nil
	}
	if t, ok := m.vision.(interface{ Lost() error }); ok { // on a device
		if err := t.Lost(); err != nil {
			return fmt.Errorf("%w: %w", ErrDeviceLost, err)
		}
	}
	return m.lm.Lost()
}

// Info describes the model.
func (m *Model) Info() Info { return m.info }

// Memory returns about how many bytes of memory the model takes, beside those of devices.
func (m *Model) Memory() int64 { return m.memory }

// Close ends running requests with ErrClosed and frees the model. Whoever calls it, together or
// again, returns when that is done, with the same error.
func (m *Model) Close() error {
	m.once.Do(func() {
		m.mu.Lock()
		m.over = true
		m.mu.Unlock()
		m.end(ErrClosed)
		m.requests.Wait()
		m.recall()
		m.err = m.free()
		placement.Release(m.info.Devices)
		// only now: the engine's Close keeps the compute thread for models that it knows
		m.engine.remove(m)
	})
	return m.err
}

// free releases what open has made, in reverse.
func (m *Model) free() error {
	m.end(ErrClosed)
	m.kept.Drop()
	stopped := m.stopScheduler()
	m.drafting.Lock()
	defer m.drafting.Unlock()
	if m.draft != nil {
		m.draft.giveBack(m)
	}
	return m.engine.thread.Do(context.Background(), func() error {
		errs := []error{stopped}
		if m.draft != nil {
			errs = append(errs, m.draft.Close())
		}
		errs = append(errs, m.embedder.Close(), m.scorer.Close())
		if m.lc != nil {
			errs = append(errs, m.lc.Close())
		}
		if m.decoder != nil {
			errs = append(errs, m.decoder.Close())
		}
		if m.ears != nil {
			errs = append(errs, m.ears.Close())
		}
		if m.vision != nil {
			errs = append(errs, m.vision.Close())
		}
		errs = append(errs, m.adapters.close())
		if m.lm != nil {
			errs = append(errs, m.lm.Close())
		}
		return errors.Join(errs...)
	})
}
