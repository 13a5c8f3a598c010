package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/imatrix"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// TowerImatrixOptions say what the importance matrix of a vision tower is collected over. Projector
// is required.
type TowerImatrixOptions struct {
	Projector string
	Pictures  []string // files; none means those of the questions
	Questions string   // file or folder; "" means the built-in set
	Count     int      // of questions whose pictures are taken; 0 means all
	Seed      uint64   // that they are drawn with
	Threads   int      // 0 means GOMAXPROCS
	Progress  func(done float64, next string)
}

// towerPicture is a picture by its name.
type towerPicture struct {
	name string
	read func() ([]byte, error)
}

// TowerImatrix collects an importance matrix for the matrices of a vision tower and its projector
// while libmtmd encodes pictures, which knows more families than package vision. It computes on a
// thread of its own, and wants nothing else to compute meanwhile.
func TowerImatrix(ctx context.Context, o TowerImatrixOptions) (m *imatrix.Matrix, err error) {
	o.Threads = ThisMachine(o.Threads).Threads
	if o.Progress == nil {
		o.Progress = func(float64, string) {}
	}
	var list []towerPicture
	m = &imatrix.Matrix{Entries: map[string]*imatrix.Sums{}}
	for _, path := range o.Pictures {
		list = append(list, towerPicture{path, func() ([]byte, error) { return readPicture(path) }})
		m.Datasets = append(m.Datasets, filepath.Base(path))
	}
	if len(list) == 0 {
		set, err := openSet(o.Questions, o.Count, o.Seed)
		if err != nil {
			return nil, err
		}
		defer set.Close()
		for _, name := range set.pictures() {
			list = append(list, towerPicture{name, func() ([]byte, error) {
				return set.Read(name)
			}})
		}
		m.Datasets = []string{set.Name}
	}
	err = OnThread(func() error { return o.collect(ctx, list, m) })
	return m, err
}

func (o *TowerImatrixOptions) collect(ctx context.Context, list []towerPicture,
	m *imatrix.Matrix) error {
	o.Progress(0, "loading the tower")
	collector, err := llama.NewTowerCollector()
	if err != nil {
		return err
	}
	defer collector.Close()
	t, err := OpenTower(ctx, o.Projector, TowerOptions{Backend: accelerated, Threads: o.Threads,
		Collector: collector})
	if err != nil {
		return err
	}
	defer t.Close()
	for i, p := range list {
		o.Progress(float64(i)/float64(len(list)), fmt.Sprintf("picture %d of %d", i+1, len(list)))
		data, err := p.read()
		if err != nil {
			return err
		}
		rows, err := encodeData(ctx, t, data, p.name)
		if err != nil {
			return err
		}
		m.Chunks++
		m.ChunkSize = max(m.ChunkSize, len(rows)/t.Info().Width)
	}
	sums, err := collector.Sums()
	if err != nil {
		return err
	}
	for name, s := range sums {
		m.Entries[name] = &imatrix.Sums{Squares: s.Squares, Values: s.Values, Counts: s.Counts}
	}
	if len(m.Entries) == 0 {
		return fmt.Errorf("%w: %s: libmtmd multiplies by no matrix that could be quantized",
			engine.ErrRequest, o.Projector)
	}
	return nil
}

// encodeData takes a picture's file to its image tokens.
func encodeData(ctx context.Context, t *Tower, data []byte, name string) ([]float32, error) {
	img, err := imaging.DecodePicture(ctx, data, imaging.Options{Target: vision.Target(t)})
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", engine.ErrImage, name, err)
	}
	in, err := vision.PreprocessPicture(ctx, t, img)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", engine.ErrImage, name, err)
	}
	defer in.Close()
	return vision.Encode(ctx, t, in)
}

// readPicture reads a picture's file.
func readPicture(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, imaging.DefaultMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", path, err)
	}
	return data, nil
}
