package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// The kinds of a Job.
const (
	// a projector: image tokens of the questions' pictures, and how far they are from the base's
	JobTower = "tower"
	// a model with a projector and a type of the KV cache: text, right answers, own answers
	JobQuality = "quality"
	JobSpeed   = "speed" // the same with a number of threads and a size of micro-batches
	JobPeer    = "peer"  // llama-bench on the same
)

// Job is one measurement of a matrix. It is run in a process of its own, so that its memory is its
// own and a crash costs one cell.
type Job struct {
	Kind      string `json:"kind"`
	Model     string `json:"model,omitempty"`
	Projector string `json:"projector,omitempty"`
	KV        string `json:"kv,omitempty"`
	Threads   int    `json:"threads"`
	Batch     int    `json:"batch,omitempty"`   // micro-batch
	Context   int    `json:"context,omitempty"` // of the engine; 0 means its default
	Reps      int    `json:"reps,omitempty"`
	RPC       string `json:"rpc,omitempty"` // as in engine.ModelSpec; of JobSpeed alone
	// one that takes the whole language model, of JobSpeed and JobPeer; empty for the CPU, or RPC's
	Device string `json:"device,omitempty"`
	// arithmetic of the tower, as in engine.ModelSpec; "" means auto
	VisionPrecision string `json:"vision_precision,omitempty"`
	Base            bool   `json:"base,omitempty"` // it is the base that others are compared with
	// Known are the figures of the model over the text, if another job found them; NoTokens leaves
	// out the tests of llama-bench, which another job ran: the projector takes no part in either.
	Known    *Distribution `json:"known,omitempty"`
	NoTokens bool          `json:"no_tokens,omitempty"`

	// Dir is the folder of what jobs leave for each other: distributions, image tokens, the text.
	Dir string `json:"dir,omitempty"`
	// name of the file of the projector's image tokens
	Rows      string `json:"rows,omitempty"`
	BaseRows  string `json:"base_rows,omitempty"` // the same of the base
	Answers   string `json:"answers,omitempty"`   // path of the file of answers to write
	BaseSaid  string `json:"base_said,omitempty"` // path of the base's
	Windows   int    `json:"windows,omitempty"`   // of text; 0 means all
	Questions string `json:"questions,omitempty"` // file or folder; empty for the built-in ones
	Count     int    `json:"count,omitempty"`     // of questions; 0 means all
	Seed      uint64 `json:"seed,omitempty"`      // that they are drawn with
}

// JobResult is what a job found: the field of its kind is set.
type JobResult struct {
	Tower   *TowerQuality `json:"tower,omitempty"`
	Quality *Quality      `json:"quality,omitempty"`
	Beside  *Distribution `json:"beside,omitempty"` // of a base over the text, beside itself
	Speed   *Speed        `json:"speed,omitempty"`
	Peer    *Peer         `json:"peer,omitempty"`
}

// The files that jobs leave in Job.Dir.
const (
	textFile     = "text.txt"
	baseTextFile = "base-text.bin"
	basePicture  = "base-pictures.bin"
)

// RunJob runs a job in this process, as [Worker.Run] does.
func RunJob(ctx context.Context, j *Job, progress func(next string)) (*JobResult, error) {
	w := new(Worker)
	defer w.Close()
	return w.Run(ctx, j, progress)
}

// Shares reports whether a [Worker] that ran a job should run another: not if the other measures
// its process's memory, or runs a peer.
func (j *Job) Shares(other *Job) bool { return j.shares() && other.shares() }

func (j *Job) shares() bool { return j.Kind == JobTower || j.Kind == JobQuality }

// Worker runs jobs in this process, one after the other, and keeps the language model for the next.
// The zero value is ready.
type Worker struct {
	lm    *llama.Model
	model string // the file of lm
}

// Close lets go of the model. It may be called again.
func (w *Worker) Close() {
	if w.lm != nil {
		w.lm.Close()
	}
	*w = Worker{}
}

// load loads the language model, unless it is there.
func (w *Worker) load(ctx context.Context, path string, progress func(string)) error {
	if w.lm != nil && w.model == path {
		return nil
	}
	w.Close()
	progress("loading the model")
	lm, err := llama.LoadModel(ctx, path, llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		return fmt.Errorf("%w: %w", engine.ErrModelFile, err)
	}
	w.lm, w.model = lm, path
	return nil
}

// Run runs a job. Everything that computes is on one thread, while nothing else in the process
// should compute. progress is called with what comes next.
func (w *Worker) Run(ctx context.Context, j *Job, progress func(next string)) (result *JobResult,
	err error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	if err := llama.Init(); err != nil {
		return nil, err
	}
	result = &JobResult{}
	switch j.Kind {
	case JobTower:
		err = OnThread(func() (err error) {
			result.Tower, err = j.tower(ctx, progress)
			return err
		})
	case JobQuality:
		err = OnThread(func() (err error) { return w.quality(ctx, j, result, progress) })
	case JobSpeed:
		result.Speed, err = j.speed(ctx, progress)
	case JobPeer:
		progress("llama-bench")
		result.Peer, err = runPeer(ctx, j)
	}
	if err != nil {
		return nil, err
	}
	return result, nil
}

func (j *Job) check() error {
	_, cacheErr := cacheParams(j.KV)
	if _, err := nn.ParsePrecision(cmp.Or(j.VisionPrecision, "auto")); err != nil {
		return fmt.Errorf("%w: vision precision: %w", engine.ErrRequest, err)
	}
	switch {
	case j.Kind != JobTower && j.Kind != JobQuality && j.Kind != JobSpeed && j.Kind != JobPeer:
		return fmt.Errorf("%w: a job of kind %q", engine.ErrRequest, j.Kind)
	case j.Kind != JobTower && cacheErr != nil:
		return cacheErr
	case j.Threads < 1 || j.Threads > 512:
		return fmt.Errorf("%w: threads is %d; give 1 to 512", engine.ErrRequest, j.Threads)
	case j.Reps < 0 || j.Reps > MaxRounds:
		return fmt.Errorf("%w: %d repetitions; give 1 to %d", engine.ErrRequest, j.Reps, MaxRounds)
	case j.Batch < 0 || j.Batch > 1<<16:
		return fmt.Errorf("%w: batch is %d; give 1 to %d", engine.ErrRequest, j.Batch, 1<<16)
	}
	return nil
}

// set opens the questions that are drawn.
func (j *Job) set() (*QuestionSet, error) { return openSet(j.Questions, j.Count, j.Seed) }

func openSet(path string, count int, seed uint64) (set *QuestionSet, err error) {
	if path == "" {
		set, err = BuiltinQuestions()
	} else {
		set, err = OpenQuestions(path)
	}
	if err != nil {
		return nil, err
	}
	return set.Sample(count, seed), nil
}

// pictures are the different pictures of a set, in order.
func (s *QuestionSet) pictures() (list []string) {
	seen := map[string]bool{}
	for _, q := range s.Questions {
		if !seen[q.Picture] {
			seen[q.Picture] = true
			list = append(list, q.Picture)
		}
	}
	return list
}

// TowerQuality is how a projector sees beside the base.
type TowerQuality struct {
	Backend     string             `json:"backend"`
	Precision   string             `json:"precision"`
	Pictures    int                `json:"pictures"`
	Tokens      int                `json:"tokens"` // of all pictures
	Width       int                `json:"width"`
	WeightBytes int64              `json:"weight_bytes"` // as they are packed
	Against     *vision.Difference `json:"against_base,omitempty"`
	TokenError  *TokenError        `json:"token_error,omitempty"`
}

// TokenError is the distribution of the relative error |x - y| / |y| of single image tokens.
type TokenError struct {
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
}

// tower encodes the pictures, writes their image tokens, and compares them with the base's.
func (j *Job) tower(ctx context.Context, progress func(string)) (*TowerQuality, error) {
	set, err := j.set()
	if err != nil {
		return nil, err
	}
	defer set.Close()
	progress("loading the tower")
	t, err := j.openTower(ctx)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	info := t.Info()
	r := &TowerQuality{Backend: info.Backend, Precision: info.Precision, Width: info.Width,
		WeightBytes: t.WeightBytes}
	w := new(gguf.Writer)
	w.Set("general.architecture", "rows")
	w.Set("rows.width", uint32(info.Width))
	pictures := set.pictures()
	compareRows, closeRows, err := j.rowComparer(info.Width)
	if err != nil {
		return nil, err
	}
	defer closeRows()
	for i, name := range pictures {
		progress(fmt.Sprintf("picture %d of %d", i+1, len(pictures)))
		rows, err := encodeFile(ctx, t, set, name)
		if err != nil {
			return nil, err
		}
		n := len(rows) / info.Width
		r.Pictures, r.Tokens = r.Pictures+1, r.Tokens+n
		w.AddTensor(strconv.Itoa(i), gguf.F32, []uint64{uint64(info.Width), uint64(n)},
			float32Bytes(rows))
		if err := compareRows.add(i, rows); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	r.Against, r.TokenError = compareRows.result()
	if err := w.WriteFile(filepath.Join(j.Dir, j.Rows)); err != nil {
		return nil, fmt.Errorf("bench: image tokens: %w", err)
	}
	return r, nil
}

// openTower opens the projector in the precision that was asked for.
func (j *Job) openTower(ctx context.Context) (*Tower, error) {
	p, err := nn.ParsePrecision(cmp.Or(j.VisionPrecision, "auto"))
	if err != nil {
		return nil, fmt.Errorf("%w: vision precision: %w", engine.ErrRequest, err)
	}
	return OpenTower(ctx, j.Projector, TowerOptions{Threads: j.Threads, Precision: p})
}

// encodeFile takes a picture of a set to its image tokens.
func encodeFile(ctx context.Context, t *Tower, set *QuestionSet, name string) ([]float32, error) {
	data, err := set.Read(name)
	if err != nil {
		return nil, err
	}
	return encodeData(ctx, t, data, name)
}

// quality runs the text and the questions.
func (w *Worker) quality(ctx context.Context, j *Job, r *JobResult, progress func(string)) error {
	if err := w.load(ctx, j.Model, progress); err != nil {
		return err
	}
	q := &Quality{}
	r.Quality = q
	var err error
	if q.Text, r.Beside, err = w.text(ctx, j, progress); err != nil || j.Projector == "" {
		return err
	}
	switch kind, err := nativeProjector(j.Projector); {
	case errors.Is(err, vision.ErrUnknownTower):
		q.Note = "questions were not asked: this family puts tokens of its own around pictures"
		return nil
	case err != nil:
		return err
	default:
		return j.ask(ctx, w.lm, kind, q, progress)
	}
}

// text runs the text, unless its figures are known.
func (w *Worker) text(ctx context.Context, j *Job, progress func(string)) (d, beside *Distribution,
	err error) {
	if j.Known != nil {
		return j.Known, nil, nil
	}
	text, err := readText(filepath.Join(j.Dir, textFile))
	if err != nil {
		return nil, nil, err
	}
	return textQuality(ctx, w.lm, string(text), filepath.Join(j.Dir, baseTextFile), j.Base, j.KV,
		j.Threads, j.Windows, func(done, total int) {
			progress(fmt.Sprintf("text, %d of %d", done+1, total))
		})
}

// nativeProjector tells the kind of projector of a tower that package vision knows.
func nativeProjector(path string) (string, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", engine.ErrModelFile, err)
	}
	defer f.Close()
	if arch := f.Architecture(); arch != "clip" {
		return "", fmt.Errorf("%w: %s is a %s model, not a vision projector", engine.ErrModelFile,
			path, arch)
	}
	info, err := vision.Describe(f)
	return info.Projector, err
}

// ask asks the questions.
func (j *Job) ask(ctx context.Context, lm *llama.Model, projector string, q *Quality,
	progress func(string)) error {
	set, err := j.set()
	if err != nil {
		return err
	}
	defer set.Close()
	rows, err := openRows(filepath.Join(j.Dir, j.Rows), lm.NEmbdInp())
	if err != nil {
		return err
	}
	defer rows.close()
	a, err := newAsker(lm, projector, rows.most(), j.KV, j.Threads, nil)
	if err != nil {
		return err
	}
	defer a.r.close()
	index := map[string]int{}
	for i, name := range set.pictures() {
		index[name] = i
	}
	var list []said
	q.AfterImage, _, err = compareWith(filepath.Join(j.Dir, basePicture), j.Base,
		func(see place) error {
			for i, question := range set.Questions {
				progress(fmt.Sprintf("question %d of %d", i+1, len(set.Questions)))
				picture, err := rows.read(index[question.Picture])
				if err != nil {
					return err
				}
				text, err := a.ask(ctx, question, picture, see)
				if err != nil {
					return fmt.Errorf("%s, %q: %w", question.Picture, question.Question, err)
				}
				list = append(list, score(question, text))
			}
			return nil
		})
	if err != nil {
		return err
	}
	var base []said
	if !j.Base {
		if base, err = readAnswers(j.BaseSaid); err != nil {
			return err
		}
	}
	q.Answers = sumAnswers(list, base)
	return writeAnswers(j.Answers, list)
}

// speed measures what a user waits for, through the engine, and then llama-bench's tests on the
// bare model.
func (j *Job) speed(ctx context.Context, progress func(string)) (*Speed, error) {
	s := &Speed{}
	if err := askEngine(ctx, j, s, progress); err != nil {
		return nil, err
	}
	if _, highest, ok := residentMemory(); ok {
		s.PeakBytes = highest
	}
	if j.Projector != "" {
		t, err := j.openTower(ctx)
		if err != nil {
			return nil, err
		}
		s.TowerBytes = t.WeightBytes
		t.Close()
	}
	if j.NoTokens {
		return s, nil
	}
	return s, OnThread(func() error {
		progress("loading the model")
		params := llama.ModelParams{GPULayers: llama.NoGPULayers}
		if j.RPC != "" || j.Device != "" {
			spec := engine.ModelSpec{RPC: j.RPC, Device: j.Device}
			var err error
			if params.Devices, err = placement.Devices(ctx, &spec); err != nil {
				return err
			}
			params.GPULayers = 0 // as many as there are
		}
		lm, err := llama.LoadModel(ctx, j.Model, params)
		if err != nil {
			return fmt.Errorf("%w: %w", engine.ErrModelFile, err)
		}
		defer lm.Close()
		t := kvTypes[j.KV]
		s.ModelType = lm.Description()
		s.WeightBytes, s.KVBytes = int64(lm.Size()), lm.CacheBytes(s.Context, ggml.Type(t),
			ggml.Type(t))
		return llamaBench(ctx, lm, j.KV, j.Threads, j.Batch, j.Reps, s, progress)
	})
}
