package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

// ofBuiltin describes the model inside the program.
func (ms *models) ofBuiltin() (*model, error) {
	ms.mu.Lock()
	path, projector := ms.extracted[0], ms.extracted[1]
	ms.mu.Unlock()
	if _, err := os.Stat(path); err != nil { // not yet, or somebody has cleaned up
		if path, projector, err = builtin.Extract(""); err != nil {
			return nil, err
		}
		ms.mu.Lock()
		ms.extracted = [2]string{path, projector}
		ms.mu.Unlock()
	}
	m, err := ms.ofFiles(builtin.Name+":latest", engine.ModelSpec{Name: builtin.Name, Model: path,
		Projector: projector})
	if err != nil {
		return nil, err
	}
	m.digest, m.builtin = builtin.Digest(), true
	return m, nil
}

// ofStore describes a model of a store.
func (ms *models) ofStore(r *store.Resolved) (*model, error) {
	m := &model{name: r.Name.String(), digest: r.Digest.Hex(), modified: r.Modified, stored: r}
	for _, d := range r.Manifest.Blobs() {
		m.size += d.Size
	}
	if len(r.Messages) > 0 {
		var messages []api.Message
		if err := json.Unmarshal(r.Messages, &messages); err != nil {
			return nil, fmt.Errorf("%w: the messages of %s: %w", store.ErrManifest, m.name, err)
		}
	}
	var err error
	if m.config, err = r.Config(); m.draws() {
		return m, nil // whatever its configuration says
	}
	if err != nil {
		facts, err := ms.facts(r.Path)
		if err != nil {
			return nil, err
		}
		m.config = facts.config
	}
	spec := engine.ModelSpec{Name: m.name, Model: r.Path, Projector: r.Projector}
	spec.TakeTemplate(r.Template)
	m.spec = ms.specOf(spec, r.Params)
	return m, nil
}

// ofFiles describes a model that is just files. Its digest stands for their names, sizes and times:
// reading them all would take minutes.
func (ms *models) ofFiles(name string, spec engine.ModelSpec) (*model, error) {
	facts, err := ms.facts(spec.Model)
	if err != nil {
		return nil, err
	}
	m := &model{name: name, config: facts.config, modified: facts.modified, size: facts.size}
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %d", facts.path, facts.size, facts.modified.UnixNano())
	if spec.Projector != "" {
		p, err := ms.facts(spec.Projector)
		if err != nil {
			return nil, err
		}
		m.size += p.size
		m.config.ModelFamilies = append(slices.Clone(m.config.ModelFamilies), "clip")
		fmt.Fprintf(h, " %q %d %d", p.path, p.size, p.modified.UnixNano())
	}
	fmt.Fprintf(h, " %q", spec.ChatTemplate)
	if spec.Placed() {
		fmt.Fprintf(h, " %q %q %d %v %q", spec.Device, spec.RPC, spec.GPULayers, spec.TensorSplit,
			spec.VisionDevice)
	}
	m.digest = hex.EncodeToString(h.Sum(nil))
	spec.Name = cmp.Or(spec.Name, name)
	m.spec = ms.specOf(spec, store.Params{})
	return m, nil
}

// specOf completes what is to be loaded by what is the same for all models. Where it lies, the
// operator says; else the model's parameters.
func (ms *models) specOf(own engine.ModelSpec, params store.Params) engine.ModelSpec {
	spec := ms.options.Spec
	if own.Placed() {
		spec.Device, spec.RPC, spec.GPULayers = own.Device, own.RPC, own.GPULayers
		spec.TensorSplit, spec.VisionDevice = own.TensorSplit, own.VisionDevice
	}
	spec.TakePlacement(params.Placement())
	spec.Name, spec.Model, spec.Projector = own.Name, own.Model, own.Projector
	spec.ChatTemplate, spec.GoTemplate = own.ChatTemplate, own.GoTemplate
	spec.Context = cmp.Or(own.Context, spec.Context)
	if spec.Context == 0 && params.Context != nil {
		spec.Context = min(max(*params.Context, 0), ms.limits.Context)
	}
	spec.Context = cmp.Or(spec.Context, ms.options.Context)
	return spec
}

// fileFacts are what is known of a GGUF file without loading it.
type fileFacts struct {
	path     string
	size     int64 // of all parts
	modified time.Time
	config   store.Config
	layers   int  // of a language model, the output included; 0 where the file does not say
	fused    bool // it holds a vision tower beside a language model
}

// facts reads the header of a file, once as long as the file is the same.
func (ms *models) facts(path string) (*fileFacts, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	ms.mu.Lock()
	known := ms.files[path]
	ms.mu.Unlock()
	if known != nil && known.modified.Equal(info.ModTime()) && known.size >= info.Size() {
		return known, nil
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	facts := &fileFacts{path: path, size: f.Size(), modified: info.ModTime(),
		config: *store.ConfigOf(f)}
	if f.Architecture() != "clip" {
		facts.fused = slices.ContainsFunc(f.Tensors(), func(t *gguf.Tensor) bool {
			return strings.HasPrefix(t.Name, "v.") || strings.HasPrefix(t.Name, "mm.")
		})
	}
	const most = 1 << 12
	if n, _ := f.Uint(f.Architecture() + ".block_count"); n > 0 && n < most {
		facts.layers = int(n) + 1
	}
	ms.mu.Lock()
	ms.files[path] = facts
	ms.mu.Unlock()
	return facts, nil
}
