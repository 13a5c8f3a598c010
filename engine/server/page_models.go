package server

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"

	ollama "github.com/ollama/ollama/types/model"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// pageModel is a model as the page lists it.
type pageModel struct {
	Name         string `json:"name"`
	Size         int64  `json:"size"`
	Parameters   string `json:"parameters"`
	Quantization string `json:"quantization"`
	Vision       bool   `json:"vision"`
	Draws        bool   `json:"draws"` // pictures, and answers no questions
	// of a model that draws: pixels of the pictures that it was trained with
	Side       int    `json:"side,omitempty"`
	Multiple   int    `json:"multiple,omitempty"`
	Thinks     bool   `json:"thinks"`
	Context    int    `json:"context"` // tokens that it is loaded with
	Needs      int64  `json:"needs"`   // bytes of memory, estimated
	Fits       bool   `json:"fits"`
	Loaded     bool   `json:"loaded"`
	Unusable   string `json:"unusable"` // why it cannot be loaded; empty where it can
	Changeable bool   `json:"changeable"`
}

// pageModels answers GET /page/api/models.
func (s *Server) pageModels(w http.ResponseWriter, r *http.Request) error {
	all, err := s.models.all()
	if err != nil {
		return err
	}
	loaded := map[string]bool{}
	for _, l := range s.models.loaded() {
		loaded[l.digest] = loaded[l.digest] || l.State == pool.Ready
	}
	list := make([]pageModel, 0, len(all))
	drawing := "" // why nothing can be drawn
	for _, m := range all {
		p := s.pageModel(m)
		p.Loaded = loaded[m.digest]
		list = append(list, p)
		if p.Draws && drawing == "" {
			if _, err := s.drawing.find(r.Context()); err != nil {
				drawing = failure.Of(r.Context(), err).Text
			}
		}
	}
	return s.writeJSON(w, http.StatusOK, map[string]any{"models": list, "drawing": drawing})
}

// pageModel describes a model. What is wrong with its files becomes the reason why it cannot be
// used.
func (s *Server) pageModel(m *model) pageModel {
	p := pageModel{Name: m.name, Size: m.size, Parameters: m.config.ModelType,
		Quantization: m.config.FileType, Vision: m.spec.Projector != "",
		Context: cmp.Or(m.spec.Context, engine.DefaultContext), Changeable: m.stored != nil &&
			s.models.store != nil && !s.options.ReadOnly}
	need := func(bytes int64) {
		limit := s.pool.Limit()
		p.Needs, p.Fits = bytes, limit == 0 || bytes <= limit
	}
	if m.draws() {
		p.Draws, p.Context = true, 0
		file, err := draw.Open(m.stored.Path, m.name, m.stored.Parts)
		if err != nil {
			p.Unusable = failure.Text(err)
			return p
		}
		p.Side, p.Multiple = file.Side, file.Multiple
		need(file.Memory(file.Side, file.Side))
		return p
	}
	needs, err := placement.Memory(&m.spec)
	if err != nil {
		p.Unusable = failure.Text(err)
		return p
	}
	need(needs)
	file, err := gguf.Open(m.spec.Model)
	if err != nil {
		p.Unusable = failure.Text(err)
		return p
	}
	defer file.Close()
	p.Thinks = slices.Contains(m.capabilities(file), ollama.CapabilityThinking)
	return p
}

// pageWork is a loaded model at work. Counters begin when it is loaded.
type pageWork struct {
	Name            string  `json:"name"`
	Bytes           int64   `json:"bytes"`
	Context         int     `json:"context"`
	Waiting         int     `json:"waiting"`
	Reading         int     `json:"reading"`
	Writing         int     `json:"writing"`
	Tokens          uint64  `json:"tokens"`
	PromptTokens    uint64  `json:"promptTokens"`
	CachedTokens    uint64  `json:"cachedTokens"`
	Cells           int     `json:"cells"`
	CellsRunning    int     `json:"cellsRunning"`
	CellsCached     int     `json:"cellsCached"`
	PicturesEncoded uint64  `json:"picturesEncoded"`
	PicturesKnown   uint64  `json:"picturesKnown"`
	EncodingSeconds float64 `json:"encodingSeconds"`
}

// pageState answers GET /page/api/state: what the server is doing.
func (s *Server) pageState(w http.ResponseWriter, _ *http.Request) error {
	work, models := []pageWork{}, int64(0)
	for _, l := range s.models.loaded() {
		models += l.Bytes
		stats, ok := s.pool.Stats(l.Status.Name)
		if !ok {
			continue
		}
		work = append(work, pageWork{
			Name: l.name, Bytes: l.Bytes, Context: l.Status.Info.Context, Waiting: stats.Waiting,
			Reading: stats.Reading, Writing: stats.Writing,
			Tokens: stats.Tokens, PromptTokens: stats.PromptItems, CachedTokens: stats.CachedItems,
			Cells: stats.Cells.Cells, CellsRunning: stats.Cells.Running,
			CellsCached:     stats.Cells.Cached,
			PicturesEncoded: uint64(stats.Media.Finished),
			PicturesKnown: uint64(stats.Media.SavedMemory + stats.Media.SavedDisk +
				stats.Media.SavedInFlight),
			EncodingSeconds: stats.Media.Encoding.Seconds(),
		})
	}
	cpu, accelerator, gpu := devices()
	return s.writeJSON(w, http.StatusOK, map[string]any{
		"version": s.options.Version, "cpu": cpu, "accelerator": accelerator, "gpu": gpu,
		"requests": s.busy.Load() - 1, // but for this one
		"memory": map[string]int64{"used": residentBytes(), "models": models,
			"limit": s.pool.Limit()},
		"models": work,
	})
}

// devices names what computes: the processor, the accelerator and GPUs.
func devices() (cpu, accelerator, gpu string) {
	var gpus []string
	for _, d := range ggml.Devices() {
		switch d.Type {
		case ggml.CPU:
			cpu = d.Description
		case ggml.GPU, ggml.IGPU:
			gpus = append(gpus, d.Description)
		}
	}
	accelerator = "off" // why, "eyelet doctor" says: the reason holds paths of this machine
	if d := ggml.AcceleratorDevice(); ggml.AcceleratorState().Loaded && d != nil {
		c := ggml.ReadAcceleratorCounters(false)
		accelerator = fmt.Sprintf("%s; %d operations", d.Description, c.Calls)
	}
	return cpu, accelerator, cmp.Or(strings.Join(gpus, "; "), "none")
}

// residentBytes returns the memory that this process has in RAM, 0 where the system does not tell.
func residentBytes() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// pageBlob answers POST /page/api/blob: a file that a model is to be made of, whose digest the
// browser need not compute.
func (s *Server) pageBlob(w http.ResponseWriter, r *http.Request) error {
	st, err := s.changing()
	if err != nil {
		return err
	}
	if err := st.AllowUnsigned("uploads"); err != nil {
		return err
	}
	body, err := s.blobBody(w, r)
	if err != nil {
		return err
	}
	defer body.end()
	digest, err := st.AddBlob(r.Context(), body)
	if err != nil {
		return s.blobFailure(body, err)
	}
	return s.writeJSON(w, http.StatusOK, map[string]string{"digest": string(digest)})
}

// maxReport is the largest report that is shown.
const maxReport = 32 << 20

// reports opens the folder of reports, which no name in a request leads out of. It is nil where the
// server was given none.
func (s *Server) reports() (*os.Root, error) {
	if s.options.Reports == "" {
		return nil, nil
	}
	return os.OpenRoot(s.options.Reports)
}

// pageReports answers GET /page/api/reports: folders in which "eyelet bench quants" has left a
// report, and reports by themselves.
func (s *Server) pageReports(w http.ResponseWriter, _ *http.Request) error {
	root, err := s.reports()
	if err != nil {
		return err
	}
	names := []string{}
	if root != nil {
		defer root.Close()
		entries, err := fs.ReadDir(root.FS(), ".")
		if err != nil {
			return err
		}
		for _, e := range entries {
			if _, err := fs.Stat(root.FS(), reportFile(e.Name())); err == nil {
				names = append(names, e.Name())
			}
		}
	}
	return s.writeJSON(w, http.StatusOK, map[string]any{"configured": root != nil, "names": names})
}

// reportFile returns the document of a report: a file, or what bench quants writes into a folder.
func reportFile(name string) string {
	if strings.HasSuffix(name, ".html") {
		return name
	}
	return name + "/report.html"
}

// pageReport answers GET /page/api/reports/{name}.
func (s *Server) pageReport(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	missing := failure.New(http.StatusNotFound, failure.KindNotFound, "there is no report %.100q",
		name)
	root, err := s.reports()
	if err != nil {
		return err
	}
	if root == nil || !fs.ValidPath(name) {
		return missing
	}
	defer root.Close()
	f, err := root.Open(reportFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return missing
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxReport {
		return missing
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		return err
	}
	s.limitWrite(w)
	h := w.Header()
	// the page shows it in a frame of its own; it is no document of this server
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(data)
	return err
}
