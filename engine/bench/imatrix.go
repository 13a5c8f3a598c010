package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/imatrix"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// ImatrixOptions say what an importance matrix is collected over. Model is required, and a text or
// a projector.
type ImatrixOptions struct {
	Model     string // GGUF file
	Projector string // mmproj file with a tower that package vision knows; "" for text alone
	Text      string // file; "" for none
	Windows   int    // of 512 tokens of the text; 0 means all
	Questions string // file or folder; "" means the built-in set; asked where there is a projector
	Count     int    // of questions; 0 means all
	Seed      uint64 // that they are drawn with
	Threads   int    // 0 means GOMAXPROCS
	Progress  func(done float64, next string)
}

// Imatrix collects an importance matrix over a text, and over questions about pictures with their
// right answers. It computes on a thread of its own, and wants nothing else to compute meanwhile.
func Imatrix(ctx context.Context, o ImatrixOptions) (m *imatrix.Matrix, err error) {
	if o.Text == "" && o.Projector == "" {
		return nil, fmt.Errorf("%w: neither a text nor a projector to ask about pictures with",
			engine.ErrRequest)
	}
	o.Threads = ThisMachine(o.Threads).Threads
	if o.Progress == nil {
		o.Progress = func(float64, string) {}
	}
	err = OnThread(func() error { m, err = o.collect(ctx); return err })
	return m, err
}

func (o *ImatrixOptions) collect(ctx context.Context) (m *imatrix.Matrix, err error) {
	o.Progress(0, "loading the model")
	lm, err := llama.LoadModel(ctx, o.Model, llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", engine.ErrModelFile, err)
	}
	defer lm.Close()
	collector, err := llama.NewCollector()
	if err != nil {
		return nil, err
	}
	defer collector.Close()
	m = &imatrix.Matrix{ChunkSize: windowOf(lm), Entries: map[string]*imatrix.Sums{}}
	if o.Text != "" {
		if err := o.read(ctx, lm, collector, m); err != nil {
			return nil, err
		}
	}
	if o.Projector != "" {
		if err := o.ask(ctx, lm, collector, m); err != nil {
			return nil, err
		}
	}
	sums, err := collector.Sums()
	if err != nil {
		return nil, err
	}
	for name, s := range sums {
		m.Entries[name] = &imatrix.Sums{Squares: s.Squares, Values: s.Values, Counts: s.Counts}
	}
	return m, nil
}

// read runs the text.
func (o *ImatrixOptions) read(ctx context.Context, lm *llama.Model, c *llama.Collector,
	m *imatrix.Matrix) error {
	text, err := readText(o.Text)
	if err != nil {
		return err
	}
	windows, err := windowsOf(lm, string(text), o.Windows)
	if err != nil {
		return err
	}
	r, err := newReader(lm, windowOf(lm), "f16", o.Threads, c)
	if err != nil {
		return err
	}
	defer r.close()
	share := 1.0
	if o.Projector != "" {
		share = 0.5
	}
	for i, window := range windows {
		o.Progress(share*float64(i)/float64(len(windows)), fmt.Sprintf("text, %d of %d", i+1,
			len(windows)))
		if err := r.clear(); err != nil {
			return err
		}
		if err := r.feed(ctx, begun(lm, window), 0, nil); err != nil {
			return err
		}
		m.Chunks++
	}
	m.Datasets = append(m.Datasets, filepath.Base(o.Text))
	return nil
}

// ask shows the model pictures with questions and right answers.
func (o *ImatrixOptions) ask(ctx context.Context, lm *llama.Model, c *llama.Collector,
	m *imatrix.Matrix) error {
	kind, err := nativeProjector(o.Projector)
	if errors.Is(err, vision.ErrUnknownTower) {
		return fmt.Errorf("%w: %s: this family puts tokens of its own around pictures; collect over a text alone", engine.ErrRequest, o.Projector)
	}
	if err != nil {
		return err
	}
	set, err := openSet(o.Questions, o.Count, o.Seed)
	if err != nil {
		return err
	}
	defer set.Close()
	t, err := OpenTower(ctx, o.Projector, TowerOptions{Threads: o.Threads})
	if err != nil {
		return err
	}
	defer t.Close()
	if w := t.Info().Width; w != lm.NEmbdInp() {
		return fmt.Errorf("%w: %s makes embeddings %d wide, %s takes %d", engine.ErrMismatch,
			o.Projector, w, o.Model, lm.NEmbdInp())
	}
	var a *asker
	defer func() {
		if a != nil {
			a.r.close()
		}
	}()
	share := 0.0
	if o.Text != "" {
		share = 0.5
	}
	for i, q := range set.Questions {
		o.Progress(share+(1-share)*float64(i)/float64(len(set.Questions)),
			fmt.Sprintf("question %d of %d", i+1, len(set.Questions)))
		rows, err := encodeFile(ctx, t, set, q.Picture)
		if err != nil {
			return err
		}
		if n := len(rows) / lm.NEmbdInp(); a == nil || a.r.lc.NCtx() < n+512 {
			if a != nil {
				a.r.close()
			}
			if a, err = newAsker(lm, kind, n, "f16", o.Threads, c); err != nil {
				return err
			}
		}
		logits, err := a.prompt(ctx, q.Question, rows)
		if err != nil {
			return err
		}
		if err := a.foretell(ctx, q.Answers[0], logits, func([]float32, llama.Token) error {
			return nil
		}); err != nil {
			return err
		}
		m.Chunks++
	}
	m.Datasets = append(m.Datasets, set.Name)
	return nil
}
