package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/cores"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/vision"
	"github.com/eyelet-engine/eyelet/models/vision/libmtmd"
)

// startScheduler puts together what computes requests: decoder, cache, encoder, disk, scheduler.
// The context is open.
func (m *Model) startScheduler(spec ModelSpec, params llama.ContextParams) (err error) {
	m.pictures = &kv.Pictures{}
	m.cells = m.lc.NCtxSeq()
	m.shifts = m.lc.Memory().CanShift()
	rigid := m.rigid()
	if m.vision != nil {
		m.pictureIdentity = m.vision.Info().Identity
		if m.spec.ExactImages {
			m.pictureIdentity += " exact"
		}
	}
	if m.vision != nil || m.ears != nil {
		if err := m.startEncoder(spec); err != nil {
			return err
		}
	}
	identity := ""
	if spec.StateDir != "" {
		if identity, err = m.openDisk(spec); err != nil {
			return err
		}
	}
	sequences := m.lc.NSeqMax()
	readerCells := compute.ReaderCells(m.lm, m.cells, spec.Parallel)
	if readerCells > 0 {
		sequences-- // the reader's way in
	}
	m.cache = kv.New(kv.Config{
		Memory: m.lc.Memory(), Cells: m.lc.NCtx(), Sequences: sequences,
		Window: llama.Pos(m.lm.NSWA()), Rigid: rigid,
		Cost: rebuildCost, Evict: func(s *kv.Sequence) { m.sched.Evicted(s) },
	})
	m.decoder = compute.NewDecoder(m.lc)
	if !m.engine.steady {
		m.decoder.Pace = cores.NewPace(m.engine.threads)
		m.decoder.Pace.Keep(cores.NewPromise(m.lm.PromisedToken), m.lm.DoubtPromise)
	}
	cfg := sched.Config{
		Decoder: m.decoder, Cache: m.cache, Pictures: m.pictures, Encoder: m.jobs, Disk: m.disk,
		Model: identity, Run: m.run,
		Width: m.lm.NEmbdInp(), Batch: m.lc.NBatch(), Cells: m.cells,
		Share: !rigid && m.lm.NSWA() == 0, Parallel: spec.Parallel,
		Queue: spec.Queue, MaxGap: spec.MaxGap, Expected: spec.ExpectedAnswer,
		Speculation: !spec.NoSpeculation && !rigid && m.lm.NSWA() == 0,
	}
	switch {
	case !m.lm.OnCPU():
		cfg.RowShare = sched.DeviceRow
	case !rigid && m.lm.NSWA() == 0:
		few := m.lm.Few()
		m.decoder.Few, cfg.FewRows = few.Rows, few.Rows-1 // the decoder may need one
		if few.Together {
			cfg.RowShare = sched.FewRow
		}
	}
	if readerCells > 0 {
		cfg.Reader = compute.NewReader(m.lc, llama.Seq(sequences), params, m.makeContext)
		cfg.ReaderCells = readerCells
		// The cells of a portion that a window has passed are gone, so that one half of it would
		// stand without what its end attends to.
		cfg.ReaderWhole = m.lm.NSWA() > 0
	}
	if m.draft != nil { // a nil *drafter would not be a nil Drafter
		cfg.Drafter = m.draft
	}
	if m.leavesCPU(spec) {
		cfg.Run, cfg.Tower = m.runOnDevices, compute.RunTower
	}
	m.sched = sched.New(cfg)
	return nil
}

// openDisk opens the folder for saved conversations, and returns the identity of what is in them.
func (m *Model) openDisk(spec ModelSpec) (identity string, err error) {
	if identity, err = m.stateIdentity(spec); err != nil {
		return "", err
	}
	dir := filepath.Join(spec.StateDir, "sequences", identity[:16])
	m.disk, err = disk.Open(dir, disk.Options{Bytes: spec.StateBytes, Model: identity,
		WholeOnly: m.rigid() || m.lm.NSWA() > 0})
	if err != nil {
		return "", fmt.Errorf("engine: the folder for saved conversations: %w", err)
	}
	return identity, nil
}

// startEncoder makes the image cache and the encoder of pictures.
func (m *Model) startEncoder(spec ModelSpec) (err error) {
	options := media.Options{Bytes: spec.ImageBytes}
	if spec.StateDir != "" {
		options.Dir = filepath.Join(spec.StateDir, "pictures")
	}
	if m.images, err = media.NewCache(options); err != nil {
		return fmt.Errorf("engine: the folder for encoded pictures: %w", err)
	}
	m.jobs, err = media.NewEncoder(media.EncoderOptions{
		Cache: m.images, Width: m.lm.NEmbdInp(), DecodeBytes: spec.DecodeBytes,
		Wake: func() {
			if s := m.sched; s != nil {
				s.Poke()
			}
		},
	})
	return err
}

// run runs f on the compute thread.
func (m *Model) run(f func()) {
	_ = m.engine.thread.Do(context.Background(), func() error { f(); return nil })
}

// leavesCPU reports whether the vision tower has the CPU for itself, since all layers of the
// language model lie on devices.
func (m *Model) leavesCPU(spec ModelSpec) bool {
	if m.vision == nil || m.ears != nil || !m.lm.OnDevices() {
		return false
	}
	switch m.vision.(type) {
	case *vision.Graph:
		return false
	case *libmtmd.Encoder:
		devices, err := placement.MtmdDevices(&spec)
		return err == nil && len(devices) == 0
	}
	return true
}

// runOnDevices is run for a model that leaves the CPU to its tower, unless its drafter computes
// there.
func (m *Model) runOnDevices(f func()) {
	do := m.engine.thread.LeaveCPU
	if m.draftsOnCPU.Load() {
		do = m.engine.thread.Do
	}
	_ = do(context.Background(), func() error { f(); return nil })
}

// rigid reports whether sequences of the model can neither be cut nor shared.
func (m *Model) rigid() bool { return m.lm.IsRecurrent() || m.lm.IsHybrid() }

// rebuildCost is what the loss of an item costs beside others: a picture's rows have to be encoded
// as well as read.
func rebuildCost(i kv.Item) float64 {
	if i.IsToken() {
		return 1
	}
	return 3
}

// stateIdentity tells apart whatever decides the cells of a sequence: the model file, the types of
// the cache, the libraries' version. Files of many gigabytes are known by their size and by
// samples.
func (m *Model) stateIdentity(spec ModelSpec) (string, error) {
	params, err := spec.ContextParams()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %v\n", llama.Version(), params.TypeK) // of which there are several spellings
	f, err := os.Open(spec.Model)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrModelFile, err)
	}
	fmt.Fprintln(h, info.Size())
	if len(spec.Adapters) > 0 || spec.RopeBase != 0 || spec.RopeScale != 0 {
		fmt.Fprintln(h, spec.RopeBase, spec.RopeScale)
		for _, a := range spec.Adapters {
			if err := hashFile(h, a.Path); err != nil {
				return "", fmt.Errorf("%w: %w", ErrModelFile, err)
			}
			fmt.Fprintln(h, a.Scale)
		}
	}
	const samples, sample = 64, 64 << 10
	for i := range int64(samples) {
		if _, err := io.Copy(h, io.NewSectionReader(f, info.Size()/samples*i, sample)); err != nil {
			return "", fmt.Errorf("%w: %w", ErrModelFile, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashFile adds a whole file to a hash.
func hashFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

// stopScheduler ends what startScheduler began. Requests end with ErrClosed; conversations are kept
// where there is a folder for them.
func (m *Model) stopScheduler() (err error) {
	if m.sched != nil {
		m.sched.Close()
	}
	if m.jobs != nil {
		err = m.jobs.Close()
	}
	if m.images != nil {
		err = errors.Join(err, m.images.Close())
	}
	if m.disk != nil {
		err = errors.Join(err, m.disk.Close())
	}
	return err
}

// keep saves the conversation of a task under the name of a session.
func (m *Model) keep(ctx context.Context, t *sched.Task, name string) error {
	err := m.sched.Snapshot(ctx, t, name, m.disk.Put)
	if err != nil {
		return fmt.Errorf("engine: saving session %q: %w", name, err)
	}
	return nil
}

// Stats returns what the model's scheduler, cache and encoder did so far.
func (m *Model) Stats() sched.Stats { return m.sched.Stats() }
