package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ResultsFormat is the version of results.json that this program writes.
const ResultsFormat = 1

// ResultsFile is the name of the results in the folder of a run.
const ResultsFile = "results.json"

// maxResults bounds a results file.
const maxResults = 64 << 20

// ErrResults marks a file that holds no results, or those of a run with other settings.
var ErrResults = errors.New("results that do not fit")

// Results are those of a matrix: the document results.json, whose names stay as they are. It is
// written anew after each measurement.
type Results struct {
	Format     int         `json:"format"`
	Created    time.Time   `json:"created"`
	Updated    time.Time   `json:"updated"`
	Complete   bool        `json:"complete"`
	Commands   []string    `json:"commands"` // that made it; several where a run was gone on with
	Host       Host        `json:"host"`
	Setup      Setup       `json:"setup"`
	Models     []ModelFile `json:"models"`
	Projectors []ModelFile `json:"projectors"`
	Cells      []Cell      `json:"cells"`
	// Towers are by name of the projector, Qualities by [Cell.QualityKey].
	Towers    map[string]*TowerQuality `json:"towers"`
	Qualities map[string]*Quality      `json:"qualities"`
	// by name of a job; tried again when the run is gone on with
	Failures map[string]string `json:"failures,omitempty"`
}

// Host is the machine and the versions of what ran.
type Host struct {
	Machine
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	System string `json:"system"`
	Eyelet string `json:"eyelet"`
	Llama  string `json:"libllama"`
	GGML   string `json:"libggml"`
	Go     string `json:"go"`
	// Accelerator is "on" or "off"; "" in results of versions that did not say.
	Accelerator string `json:"accelerator,omitempty"`
}

// Setup is what decides the figures, beside the files.
type Setup struct {
	BaseModel     string `json:"base_model"` // names, as in Models and Projectors
	BaseProjector string `json:"base_projector,omitempty"`
	BaseKV        string `json:"base_kv"`
	Text          string `json:"text"`
	TextSHA256    string `json:"text_sha256"`
	Windows       int    `json:"text_windows"` // 0 means all
	Questions     string `json:"questions,omitempty"`
	QuestionsSHA  string `json:"questions_sha256,omitempty"`
	Count         int    `json:"question_count"`
	Seed          uint64 `json:"question_seed"`
	Reps          int    `json:"repetitions"`
	Context       int    `json:"context"`
	RPC           string `json:"rpc,omitempty"` // servers that have layers of the models
	// as it was asked for; "" means auto, and [TowerQuality] says what that came to
	VisionPrecision string `json:"vision_precision,omitempty"`
}

// differences names the settings that are others in another run, with both values but for texts and
// questions, which are told apart by their contents.
func (s *Setup) differences(other *Setup) (list []string) {
	fields := func(s *Setup) (m map[string]any) {
		data, _ := json.Marshal(s) // texts and numbers can be written
		_ = json.Unmarshal(data, &m)
		return m
	}
	a, b := fields(s), fields(other)
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		name, contents := strings.CutSuffix(key, "_sha256")
		name = strings.ReplaceAll(name, "_", " ")
		switch x, y := a[key], b[key]; {
		case x == y:
		case contents:
			list = append(list, name)
		default:
			list = append(list, fmt.Sprintf("%s %v, not %v", name, orNone(x), orNone(y)))
		}
	}
	return list
}

// orNone is a value, or a word for one that is not there.
func orNone(v any) any {
	if v == nil || v == "" {
		return "none"
	}
	return v
}

// ModelFile is a file that takes part.
type ModelFile struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	Type     string `json:"type"` // as the file says, "Q4_K_M"
	Bytes    int64  `json:"bytes"`
	Identity string `json:"identity"` // SHA-256 of the size and of samples of the file
	// Parameters is the number of elements of all tensors, TensorBytes what they take.
	Parameters  int64        `json:"parameters,omitempty"`
	TensorBytes int64        `json:"tensor_bytes,omitempty"`
	Tensors     []TensorBits `json:"tensors,omitempty"`
}

// TensorBits is the type of a tensor.
type TensorBits struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Elements int64  `json:"elements"`
	Bytes    int64  `json:"bytes"`
}

// BitsPerWeight is the mean over all tensors, as llama-quantize prints it; 0 if the file is not
// known.
func (f *ModelFile) BitsPerWeight() float64 {
	if f.Parameters == 0 {
		return 0
	}
	return 8 * float64(f.TensorBytes) / float64(f.Parameters)
}

// Cell is a combination with its speed.
type Cell struct {
	Model     string `json:"model"`
	Projector string `json:"projector,omitempty"`
	KV        string `json:"kv"`
	Threads   int    `json:"threads"`
	Batch     int    `json:"batch"`
	Speed     *Speed `json:"speed"`          // null until it is measured
	Peer      *Peer  `json:"peer,omitempty"` // where it was asked for
}

// QualityKey names the combination of what decides quality.
func (c *Cell) QualityKey() string { return qualityKey(c.Model, c.Projector, c.KV) }

func qualityKey(model, projector, kv string) string {
	if projector == "" {
		return model + " | " + kv
	}
	return model + " | " + projector + " | " + kv
}

// Name names the cell.
func (c *Cell) Name() string {
	return fmt.Sprintf("%s | threads %d | batch %d", c.QualityKey(), c.Threads, c.Batch)
}

// Quality returns a cell's quality, nil if it was not measured.
func (r *Results) Quality(c *Cell) *Quality { return r.Qualities[c.QualityKey()] }

// Bytes is the size of a cell's files.
func (r *Results) Bytes(c *Cell) (n int64) {
	for _, f := range r.Models {
		if f.Name == c.Model {
			n += f.Bytes
		}
	}
	for _, f := range r.Projectors {
		if f.Name == c.Projector {
			n += f.Bytes
		}
	}
	return n
}

// ReadResults reads a results file, or that of a folder. Errors wrap ErrResults, or say why the
// file could not be read.
func ReadResults(path string) (*Results, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, ResultsFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxResults+1))
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", path, err)
	}
	r, err := parseResults(data)
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", path, err)
	}
	return r, nil
}

func parseResults(data []byte) (*Results, error) {
	if len(data) > maxResults {
		return nil, fmt.Errorf("%w: the file is larger than %d bytes", ErrResults, maxResults)
	}
	r := &Results{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%w: it is no results.json of \"eyelet bench quants\": %w",
			ErrResults, err)
	}
	if r.Format == 0 {
		return nil, fmt.Errorf("%w: it is no results.json of \"eyelet bench quants\"", ErrResults)
	}
	if r.Format != ResultsFormat {
		return nil, fmt.Errorf("%w: format %d, this program reads %d", ErrResults, r.Format,
			ResultsFormat)
	}
	for _, c := range r.Cells {
		if !c.Speed.sound() || c.Peer != nil && !(c.Peer.PP512.sound() && c.Peer.PP512.positive() &&
			c.Peer.TG128.sound() && c.Peer.TG128.positive()) {
			return nil, fmt.Errorf("%w: speeds of %s are missing or make no sense", ErrResults,
				c.Name())
		}
	}
	for key, q := range r.Qualities {
		if q == nil || q.Text == nil || !(q.Text.Perplexity > 0) || math.IsInf(q.Text.Perplexity,
			0) {
			return nil, fmt.Errorf("%w: the quality of %q has no perplexity", ErrResults, key)
		}
	}
	if r.Towers == nil {
		r.Towers = map[string]*TowerQuality{}
	}
	if r.Qualities == nil {
		r.Qualities = map[string]*Quality{}
	}
	return r, nil
}

// write saves the results in a folder, all or nothing.
func (r *Results) write(dir string) error {
	r.Updated = time.Now().UTC().Truncate(time.Second)
	return writeAtomically(filepath.Join(dir, ResultsFile), func(w *bufio.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		return encoder.Encode(r)
	})
}
