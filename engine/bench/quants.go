package bench

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// QuantsOptions say what [Quants] measures. Models is required; the rest may be left at zero.
type QuantsOptions struct {
	Models []string // GGUF files of a language model in several quantizations
	// mmproj files of one tower in several quantizations; none for a text model
	Projectors []string
	// one of Models or another file: what quality is compared with; "" means the largest
	Base          string
	BaseProjector string   // the same of Projectors
	KV            []string // types of the KV cache; nil means f16. The base has the first
	Threads       []int    // nil means GOMAXPROCS
	Batch         []int    // micro-batches; nil means 512
	Reps          int      // of each measurement of speed in a process; 0 means 5
	// processes that measure each speed, one round after the other; 0 means 1
	Runs      int
	Context   int    // of the engine, for memory and TTFT; 0 means its default
	Text      string // file; "" means the questions and answers of the built-in set
	Windows   int    // of 512 tokens of the text; 0 means all
	Questions string // file or folder; "" means the built-in set
	Count     int    // of questions; 0 means all
	Seed      uint64 // that they are drawn with
	Out       string // folder of the results
	Restart   bool   // forget results that are there
	NoSpeed   bool
	NoQuality bool
	Against   bool // run llama-bench on the same, in turn
	// RPC names servers that take layers of the models, as in engine.ModelSpec. Speed alone is
	// measured with them.
	RPC string
	// VisionPrecision is the arithmetic of native towers, as in engine.ModelSpec; "" means auto.
	VisionPrecision string

	// Run runs a job elsewhere, in a process of its own; nil runs it here.
	Run func(ctx context.Context, j *Job, progress func(next string)) (*JobResult, error)
	// Lanes is how many calls of Run may be under way at once, for qualities of small models, which
	// share the threads; 0 means 1.
	Lanes int
	// Progress is called as a job is begun, and while it runs, by one goroutine at a time.
	Progress func(Progress)
	Version  string // of the program
	Command  string // that was given, for the report
}

// Progress is how far a matrix is.
type Progress struct {
	Done, Total int // jobs
	Job         string
	Next        string        // within the job
	Left        time.Duration // about; 0 while nothing is known
}

// workDir is the folder of what jobs leave for each other, in the folder of the results. It goes
// when the matrix is complete.
const workDir = "work"

// matrix is a run under way.
type matrix struct {
	o     QuantsOptions
	r     *Results
	jobs  []*matrixJob
	spent map[string]effort // by kind
	// beside has the base's figures over the text beside itself, where its job ran this time.
	beside *Distribution

	mu    sync.Mutex   // guards what follows, the results and what jobs found while lanes run
	left  []*matrixJob // that did not run yet
	total int          // how many they were at first
}

// effort is what jobs of a kind took.
type effort struct {
	time   time.Duration
	weight float64
}

// matrixJob is a job with where its result goes.
type matrixJob struct {
	Job
	name   string
	weight int64 // bytes of its file
	early  bool  // goes before others, so that the time left is soon known
	round  int   // of the runs of a speed
	have   func() bool
	before func() // fills in what other jobs found; nil if nothing
	take   func(*JobResult)
}

// Quants measures a matrix. Each result is saved in o.Out as soon as it is there; a later call with
// the same settings goes on with what is missing. A job that fails is noted and the rest goes on,
// except that nothing can be compared without a base. When ctx is done it returns what there is
// with ctx's error. Errors wrap atomicfile.ErrClaimed while another process writes to o.Out.
func Quants(ctx context.Context, o QuantsOptions) (*Results, error) {
	m := &matrix{o: o, spent: map[string]effort{}}
	if err := m.prepare(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(m.o.Out, 0o777); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	release, err := atomicfile.Claim(m.o.Out)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer release()
	if err := m.open(); err != nil {
		return nil, err
	}
	m.plan()
	return m.r, m.run(ctx)
}

// prepare fills in what the options leave open and checks the rest.
func (m *matrix) prepare() error {
	o := &m.o
	if len(o.Models) == 0 || o.Out == "" {
		return fmt.Errorf("%w: no model, or no folder for the results", engine.ErrRequest)
	}
	o.Reps, o.Runs = cmp.Or(o.Reps, 5), cmp.Or(o.Runs, 1)
	if o.VisionPrecision == "auto" {
		o.VisionPrecision = ""
	}
	if o.RPC != "" && (!o.NoQuality || o.Against) {
		return fmt.Errorf("%w: with RPC servers speed alone is measured, and no peer",
			engine.ErrRequest)
	}
	if len(o.KV) == 0 {
		o.KV = []string{"f16"}
	}
	if len(o.Threads) == 0 {
		o.Threads = []int{ThisMachine(0).Threads}
	}
	if len(o.Batch) == 0 {
		o.Batch = []int{512}
	}
	if o.Base != "" && !slices.Contains(o.Models, o.Base) {
		o.Models = append([]string{o.Base}, o.Models...)
	}
	if o.BaseProjector != "" && !slices.Contains(o.Projectors, o.BaseProjector) {
		o.Projectors = append([]string{o.BaseProjector}, o.Projectors...)
	}
	if o.Run == nil {
		o.Run, o.Lanes = RunJob, 1 // the process has one thread that computes
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	for i, kv := range o.KV {
		o.KV[i] = strings.ToLower(kv)
		for _, n := range o.Threads {
			for _, b := range o.Batch {
				j := Job{Kind: JobSpeed, KV: o.KV[i], Threads: n, Batch: b, Reps: o.Reps,
					VisionPrecision: o.VisionPrecision}
				if err := j.check(); err != nil {
					return err
				}
				if b < 1 {
					return fmt.Errorf("%w: batch is %d; give 1 to %d", engine.ErrRequest, b, 1<<16)
				}
			}
		}
	}
	return nil
}

// open looks at the files, and at results that are there.
func (m *matrix) open() error {
	o := &m.o
	r := &Results{Format: ResultsFormat, Created: time.Now().UTC().Truncate(time.Second),
		Host: thisHost(o.Version), Commands: []string{o.Command},
		Towers: map[string]*TowerQuality{}, Qualities: map[string]*Quality{}}
	var err error
	if r.Models, err = describeFiles(o.Models, false); err != nil {
		return err
	}
	if r.Projectors, err = describeFiles(o.Projectors, true); err != nil {
		return err
	}
	r.Setup = Setup{BaseKV: o.KV[0], Windows: o.Windows, Count: o.Count, Seed: o.Seed, Reps: o.Reps,
		Context: o.Context, RPC: o.RPC, VisionPrecision: o.VisionPrecision}
	r.Setup.BaseModel = baseOf(r.Models, o.Base)
	r.Setup.BaseProjector = baseOf(r.Projectors, o.BaseProjector)
	if err := os.MkdirAll(filepath.Join(o.Out, workDir), 0o777); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := m.prepareTexts(r); err != nil {
		return err
	}
	for _, model := range r.Models {
		projectors := r.Projectors
		if len(projectors) == 0 {
			projectors = []ModelFile{{}}
		}
		for _, projector := range projectors {
			for _, kv := range o.KV {
				for _, threads := range o.Threads {
					for _, batch := range o.Batch {
						r.Cells = append(r.Cells, Cell{Model: model.Name, Projector: projector.Name,
							KV: kv, Threads: threads, Batch: batch})
					}
				}
			}
		}
	}
	m.r = r
	if o.Restart {
		return nil
	}
	old, err := ReadResults(o.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; name another folder for the results, or forget these", err)
	}
	return m.resume(old)
}

// prepareTexts copies the text to where jobs find it, and looks at the questions.
func (m *matrix) prepareTexts(r *Results) error {
	o := &m.o
	if o.NoQuality {
		return nil
	}
	set, err := openSet(o.Questions, o.Count, o.Seed)
	if err != nil {
		return err
	}
	defer set.Close()
	r.Setup.Questions = set.Name
	h := sha256.New()
	for _, q := range set.Questions {
		fmt.Fprintf(h, "%q %q %q\n", q.Picture, q.Question, q.Answers)
	}
	r.Setup.QuestionsSHA = hex.EncodeToString(h.Sum(nil))
	var text []byte
	if o.Text == "" {
		all, err := BuiltinQuestions()
		if err != nil {
			return err
		}
		text, r.Setup.Text = []byte(all.Text()), all.Name
	} else if text, err = readText(o.Text); err != nil {
		return err
	} else {
		r.Setup.Text = o.Text
	}
	sum := sha256.Sum256(text)
	r.Setup.TextSHA256 = hex.EncodeToString(sum[:])
	if err := os.WriteFile(filepath.Join(o.Out, workDir, textFile), text, 0o666); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// describeFiles opens the files and names them apart.
func describeFiles(paths []string, projectors bool) (list []ModelFile, err error) {
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			continue
		}
		f, err := gguf.Open(path)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", engine.ErrModelFile, err)
		}
		file := ModelFile{Path: path, Name: strings.TrimSuffix(filepath.Base(path), ".gguf")}
		if arch := f.Architecture(); (arch == "clip") != projectors {
			f.Close()
			if projectors {
				return nil, fmt.Errorf("%w: %s is a language model; give it as a model",
					engine.ErrModelFile, path)
			}
			return nil, fmt.Errorf("%w: %s is a projector; give it among the projectors",
				engine.ErrModelFile, path)
		}
		if t, ok := f.FileType(); ok {
			file.Type = t.String()
		}
		for _, t := range f.Tensors() {
			file.Tensors = append(file.Tensors, TensorBits{Name: t.Name, Type: t.Type.String(),
				Elements: int64(t.Elements()), Bytes: t.Size()})
			file.Parameters, file.TensorBytes = file.Parameters+int64(t.Elements()),
				file.TensorBytes+t.Size()
		}
		parts := f.Parts()
		f.Close()
		for _, part := range parts {
			size, identity, err := identify(part)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", engine.ErrModelFile, err)
			}
			file.Bytes += size
			file.Identity = cmp.Or(file.Identity, identity)
		}
		for n := 2; slices.ContainsFunc(list, func(other ModelFile) bool {
			return other.Name == file.Name
		}); n++ {
			file.Name = fmt.Sprintf("%s (%d)", strings.TrimSuffix(filepath.Base(path), ".gguf"), n)
		}
		list = append(list, file)
	}
	return list, nil
}

// baseOf is the name of the base: the file that was named, else the largest.
func baseOf(files []ModelFile, path string) string {
	if len(files) == 0 {
		return ""
	}
	for _, f := range files {
		if path != "" && f.Path == path {
			return f.Name
		}
	}
	return slices.MaxFunc(files, func(a, b ModelFile) int {
		return cmp.Compare(a.Bytes, b.Bytes)
	}).Name
}

// resume takes over results of an earlier run. Files may have been added or left out since, but not
// changed, nor the settings.
func (m *matrix) resume(old *Results) error {
	r := m.r
	refuse := func(what string) error {
		return fmt.Errorf("bench: %s: %w: %s; name another folder for the results, or forget these",
			m.o.Out, ErrResults, what)
	}
	was, is := old.Setup, r.Setup
	if m.o.NoQuality { // nothing of the text and the questions is read, nor compared with a base
		is.BaseModel, is.BaseProjector, is.BaseKV = was.BaseModel, was.BaseProjector, was.BaseKV
		is.Text, is.TextSHA256, is.Questions, is.QuestionsSHA, is.Windows, is.Count,
			is.Seed = was.Text, was.TextSHA256, was.Questions, was.QuestionsSHA, was.Windows,
			was.Count, was.Seed
		r.Setup = is
	}
	is.Text, is.Questions = was.Text, was.Questions // another path to the same contents is the same
	if was != is {
		return refuse("they were made with other settings: " +
			strings.Join(was.differences(&is), "; "))
	}
	if a, b := old.Host, r.Host; a.CPU != b.CPU || a.Llama != b.Llama || a.GGML != b.GGML ||
		a.Eyelet != b.Eyelet {
		return refuse("they were made on another machine or with other versions")
	}
	if a, b := old.Host.Accelerator, r.Host.Accelerator; a != "" && a != b {
		return refuse("they were made with the accelerator " + a)
	}
	for _, pair := range [][2][]ModelFile{{old.Models, r.Models}, {old.Projectors, r.Projectors}} {
		for _, f := range pair[1] {
			for _, g := range pair[0] {
				if f.Name == g.Name && f.Identity != g.Identity {
					return refuse("the file " + f.Path + " has changed")
				}
			}
		}
	}
	r.Created = old.Created
	if r.Commands = old.Commands; !slices.Contains(r.Commands, m.o.Command) {
		r.Commands = append(r.Commands, m.o.Command)
	}
	r.Towers, r.Qualities = old.Towers, old.Qualities
	for i := range r.Cells {
		for k := range old.Cells {
			if r.Cells[i].Name() == old.Cells[k].Name() {
				r.Cells[i].Speed, r.Cells[i].Peer = old.Cells[k].Speed, old.Cells[k].Peer
			}
		}
	}
	for k := range old.Cells { // what is not asked for this time but was measured stays
		measured := old.Cells[k].Speed != nil || old.Quality(&old.Cells[k]) != nil
		if measured && !slices.ContainsFunc(r.Cells, func(c Cell) bool {
			return c.Name() == old.Cells[k].Name()
		}) {
			r.Cells = append(r.Cells, old.Cells[k])
			r.Models, r.Projectors = keepFile(r.Models, old.Models, old.Cells[k].Model),
				keepFile(r.Projectors, old.Projectors, old.Cells[k].Projector)
		}
	}
	return nil
}

// keepFile adds the file of a name that is in old to list, if it is not there.
func keepFile(list, old []ModelFile, name string) []ModelFile {
	is := func(f ModelFile) bool { return f.Name == name }
	if i := slices.IndexFunc(old, is); i >= 0 && !slices.ContainsFunc(list, is) {
		return append(list, old[i])
	}
	return list
}
