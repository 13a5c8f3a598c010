package convert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
	"github.com/eyelet-engine/eyelet/models/safetensors"
)

// Options say what to convert to what.
type Options struct {
	Dir   string // the folder
	Model string // path of the language model's file
	// Projector is the path of the file of the tower and the projector; "" for
	// that of the model with "mmproj-" before its name. A model that sees
	// nothing has none.
	Projector string
	Type      gguf.Type // of matrices: one of Types
	Force     bool      // replace files that are there
	// Progress, if not nil, is called while bytes are written, from the goroutine
	// that called Run.
	Progress func(done, total int64)
}

// Types are the types that matrices can have. Vectors are always F32, and a
// matrix whose rows are no whole blocks of Q8_0 is F16.
var Types = []gguf.Type{gguf.F32, gguf.F16, gguf.BF16, gguf.Q8_0}

var (
	// ErrExists: a file to be written is there already.
	ErrExists = errors.New("the file is there already")
	// ErrOptions: the options make no sense.
	ErrOptions = errors.New("bad options")
	// ErrWeights: tensors are missing, left over, or of a shape or type that
	// config.json does not call for.
	ErrWeights = errors.New("weights and configuration do not fit")
)

// Result tells what was written.
type Result struct {
	Architecture string // the model's class, as "LlavaForConditionalGeneration"
	Model        File
	Projector    *File // nil for a model that sees nothing
	// Deaf tells that the folder's model also hears, and that its tower for sound is left out.
	Deaf bool
}

// File is one file that was written.
type File struct {
	Path       string
	Bytes      int64
	Tensors    int
	Parameters int64 // elements of all tensors
}

// Run converts a folder. When ctx is done it stops and removes what it has
// written. Errors wrap those of packages hf and safetensors where a file of the
// folder is at fault.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := open(o.Dir)
	if err != nil {
		return nil, err
	}
	defer s.weights.Close()
	result := &Result{Architecture: s.config.Architecture,
		Deaf: s.config.Vision != nil && s.config.Vision.Hears}
	text := s.newOutput(ctx, o.Model, o.Type)
	text.planText()
	outputs := []*output{text}
	if s.config.Vision != nil {
		tower := s.newOutput(ctx, o.projector(), o.Type)
		tower.planVision()
		outputs = append(outputs, tower)
	}
	if err := s.finish(outputs); err != nil {
		return nil, err
	}
	if !o.Force {
		for _, out := range outputs {
			if _, err := os.Lstat(out.path); !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("convert: %s: %w", out.path, ErrExists)
			}
		}
	}
	if err := writeAll(outputs, o.Progress); err != nil {
		return nil, err
	}
	for i, out := range outputs {
		file := File{Path: out.path, Bytes: out.written, Tensors: len(out.tensors),
			Parameters: out.parameters()}
		if i == 0 {
			result.Model = file
		} else {
			result.Projector = &file
		}
	}
	return result, nil
}

func (o *Options) check() error {
	known := false
	for _, t := range Types {
		known = known || t == o.Type
	}
	switch {
	case !known:
		return fmt.Errorf("convert: %w: type %s; give one of %v", ErrOptions, o.Type, Types)
	case o.Model == "":
		return fmt.Errorf("convert: %w: no path for the model", ErrOptions)
	case filepath.Clean(o.Model) == filepath.Clean(o.projector()):
		return fmt.Errorf("convert: %w: %s cannot be both the model and the projector", ErrOptions,
			o.Model)
	}
	return nil
}

func (o *Options) projector() string {
	if o.Projector != "" {
		return o.Projector
	}
	return ProjectorPath(o.Model)
}

// ProjectorPath is where the projector goes that belongs to a model's file.
func ProjectorPath(model string) string {
	return filepath.Join(filepath.Dir(model), "mmproj-"+filepath.Base(model))
}

// source is a folder that was read.
type source struct {
	dir          string
	name         string // the folder's own
	config       *hf.Config
	tokenizer    *hf.Tokenizer
	preprocessor *hf.Preprocessor // nil for a model that sees nothing
	card         *hf.Card
	weights      *safetensors.File
	names        map[string]*safetensors.Tensor // by the names that canonical gives
	used         map[*safetensors.Tensor]bool
}

func open(dir string) (*source, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf(
			"convert: %w: %s is a file; give the folder that holds the model's files", ErrOptions,
			dir)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	s := &source{dir: dir, name: filepath.Base(absolute)}
	if s.config, err = hf.ReadConfig(dir); err != nil {
		return nil, err
	}
	if s.tokenizer, err = hf.ReadTokenizer(dir, s.config); err != nil {
		return nil, err
	}
	if s.config.Vision != nil {
		if s.preprocessor, err = hf.ReadPreprocessor(dir, s.config); err != nil {
			return nil, err
		}
	}
	if s.card, err = hf.ReadCard(dir); err != nil {
		return nil, err
	}
	if s.weights, err = safetensors.OpenFolder(dir); err != nil {
		return nil, err
	}
	if err := s.index(); err != nil {
		s.weights.Close()
		return nil, err
	}
	return s, nil
}

// writeAll writes the files to temporary names beside their own, and gives them
// their names when all are whole.
func writeAll(outputs []*output, progress func(done, total int64)) (err error) {
	var done, total int64
	for _, out := range outputs {
		total += out.size()
	}
	tell := func(n int) {
		if done += int64(n); progress != nil {
			progress(done, total)
		}
	}
	var temporary []string
	defer func() {
		for _, path := range temporary {
			if removeErr := os.Remove(path); err != nil && !errors.Is(removeErr, fs.ErrNotExist) {
				err = errors.Join(err, removeErr)
			}
		}
	}()
	for _, out := range outputs {
		out.tell = tell
		path := fmt.Sprintf("%s.%016x.part", out.path, rand.Uint64())
		if err := out.w.WriteFile(path); err != nil {
			if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == path {
				err = p.Err // the name of the moment would only confuse
			}
			return fmt.Errorf("convert: writing %s: %w", out.path, err)
		}
		temporary = append(temporary, path)
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("convert: %w", err)
		}
		out.written = info.Size()
	}
	for _, out := range outputs {
		if err := atomicfile.Check(out.path); err != nil {
			return fmt.Errorf("convert: %w", err)
		}
	}
	for i, out := range outputs {
		if err := os.Rename(temporary[i], out.path); err != nil {
			return fmt.Errorf("convert: %w", err)
		}
		// The file is in place: a folder that cannot be synced only makes the rename less durable.
		_ = atomicfile.SyncFolder(filepath.Dir(out.path))
	}
	return nil
}
