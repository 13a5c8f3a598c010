package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

// model is a model that requests can name. It is not changed once it has been made.
type model struct {
	name     string    // as clients see it, with a tag: "llava:7b"
	digest   string    // 64 hexadecimal digits that are the same as long as the model is
	modified time.Time // when it got its name
	size     int64     // bytes of its files
	config   store.Config
	spec     engine.ModelSpec
	stored   *store.Resolved // what its manifest says; nil for a model that is in no store
}

// system is the system prompt that comes with the model.
func (m *model) system() string {
	if m.stored == nil {
		return ""
	}
	return m.stored.System
}

// params are the sampling parameters that come with the model.
func (m *model) params() store.Params {
	if m.stored == nil {
		return store.Params{}
	}
	return m.stored.Params
}

// opening are the turns that open each conversation with the model, as its manifest has them.
func (m *model) opening() []api.Message {
	if m.stored == nil || len(m.stored.Messages) == 0 {
		return nil
	}
	var messages []api.Message
	if err := json.Unmarshal(m.stored.Messages, &messages); err != nil {
		return nil // they are optional, and find has looked at them
	}
	return messages
}

// withoutOpening is the model without the turns that open its conversations.
func (m *model) withoutOpening() *model {
	c := *m
	if m.stored != nil {
		stored := *m.stored
		stored.Messages = nil
		c.stored = &stored
	}
	return &c
}

// models finds models by name and lends them. Names given by the operator come first, then those of the folder, of the store, of Ollama's, and the
// built-in model last.
type models struct {
	pool    *engine.Pool
	store   *store.Store // may be nil
	options *Options
	limits  Limits
	fixed   map[string]NamedModel // by name with tag

	mu     sync.Mutex
	found  map[string]foundModel // by what was asked for
	files  map[string]*fileFacts // of GGUF files, by path
	inPool map[string]*model     // by the names that the pool knows them by
	folder map[string]store.Files
	listed time.Time // when folder was read

	extracted [2]string // files of the built-in model; empty before it was asked for
}

func newModels(pool *engine.Pool, st *store.Store, options *Options, limits Limits) (*models, error) {
	m := &models{pool: pool, store: st, options: options, limits: limits, fixed: map[string]NamedModel{}, found: map[string]foundModel{}, files: map[string]*fileFacts{}, inPool: map[string]*model{}}
	for _, n := range options.Models {
		name, err := store.ParseName(n.Name)
		if err != nil {
			return nil, err
		}
		if _, twice := m.fixed[name.String()]; twice {
			return nil, fmt.Errorf("server: two models are to be called %s", name)
		}
		m.fixed[name.String()] = n
	}
	if options.Folder != "" {
		if _, err := m.readFolder(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// find returns the model of a name, a tag of "latest" left out or not, or of a digest. Errors wrap engine.ErrUnknownModel, store.ErrNotFound, or say
// what is wrong with the model.
func (ms *models) find(ref string) (*model, error) {
	if ref == "" {
		return nil, refuseField("model", "the request names no model")
	}
	ms.mu.Lock()
	known, ok := ms.found[ref]
	ms.mu.Unlock()
	if ok && time.Since(known.at) < foundAge {
		return known.model, nil
	}
	m, err := ms.search(ref)
	if err != nil {
		return nil, err
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if len(ms.found) >= maxFound {
		clear(ms.found)
	}
	ms.found[ref] = foundModel{m, time.Now()}
	return m, nil
}

// foundModel is what a name stood for a moment ago. Searching reads manifests, of Ollama's all, which no answer should wait for.
type foundModel struct {
	model *model
	at    time.Time
}

const (
	foundAge = time.Second
	maxFound = 1024
)

// forget has names searched for again, after the store was changed.
func (ms *models) forget() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	clear(ms.found)
}

// search is find without a memory.
func (ms *models) search(ref string) (*model, error) {
	name, err := store.ParseName(ref)
	if err == nil {
		if m, err := ms.named(name); m != nil || err != nil {
			return m, err
		}
	}
	if ms.store != nil {
		r, err := ms.store.Resolve(ref)
		if err == nil {
			return ms.ofStore(r)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if ms.hasBuiltin() && name.Tag == "latest" && (name.Path == builtin.Name || name.Path == "builtin") {
		return ms.ofBuiltin()
	}
	return nil, fmt.Errorf("%w: %q; GET /api/tags lists the models", engine.ErrUnknownModel, ref)
}

// named returns the model that the operator or the folder calls so, or nil.
func (ms *models) named(name store.Name) (*model, error) {
	if n, ok := ms.fixed[name.String()]; ok {
		return ms.ofFiles(name.String(), n.Spec)
	}
	if ms.options.Folder == "" {
		return nil, nil
	}
	folder, err := ms.readFolder()
	if err != nil {
		return nil, err
	}
	if files, ok := folder[name.String()]; ok {
		return ms.ofFiles(name.String(), engine.ModelSpec{Model: files.Model, Projector: files.Projector})
	}
	return nil, nil
}

// all lists the models, by name. Those that cannot be used are left out.
func (ms *models) all() ([]*model, error) {
	byName := map[string]*model{}
	add := func(m *model, err error) {
		if err == nil && byName[m.name] == nil {
			byName[m.name] = m
		}
	}
	for name, n := range ms.fixed {
		add(ms.ofFiles(name, n.Spec))
	}
	if ms.options.Folder != "" {
		folder, err := ms.readFolder()
		if err != nil {
			return nil, err
		}
		for name, files := range folder {
			add(ms.ofFiles(name, engine.ModelSpec{Model: files.Model, Projector: files.Projector}))
		}
	}
	if ms.store != nil {
		stored, err := ms.store.List()
		if err != nil {
			return nil, err
		}
		for _, s := range stored {
			r, err := ms.store.OpenModel(&s)
			if err == nil {
				add(ms.ofStore(r))
			}
		}
	}
	if ms.hasBuiltin() {
		add(ms.ofBuiltin())
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *model) int { return strings.Compare(a.name, b.name) }), nil
}

func (ms *models) hasBuiltin() bool { return !ms.options.NoBuiltin }

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
	m, err := ms.ofFiles(builtin.Name+":latest", engine.ModelSpec{Name: builtin.Name, Model: path, Projector: projector})
	if err != nil {
		return nil, err
	}
	m.digest = builtin.Digest()
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
	if m.config, err = r.Config(); err != nil {
		facts, err := ms.facts(r.Path)
		if err != nil {
			return nil, err
		}
		m.config = facts.config
	}
	m.spec = ms.specOf(engine.ModelSpec{Name: m.name, Model: r.Path, Projector: r.Projector, GoTemplate: r.Template}, r.Params)
	return m, nil
}

// ofFiles describes a model that is just files. Its digest stands for their names, sizes and times: reading them all would take minutes.
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
	m.digest = hex.EncodeToString(h.Sum(nil))
	spec.Name = cmp.Or(spec.Name, name)
	m.spec = ms.specOf(spec, store.Params{})
	return m, nil
}

// specOf completes what is to be loaded by what is the same for all models.
func (ms *models) specOf(own engine.ModelSpec, params store.Params) engine.ModelSpec {
	spec := ms.options.Spec
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
	facts := &fileFacts{path: path, size: f.Size(), modified: info.ModTime(), config: *store.ConfigOf(f)}
	if f.Architecture() != "clip" {
		facts.fused = slices.ContainsFunc(f.Tensors(), func(t *gguf.Tensor) bool { return strings.HasPrefix(t.Name, "v.") || strings.HasPrefix(t.Name, "mm.") })
	}
	ms.mu.Lock()
	ms.files[path] = facts
	ms.mu.Unlock()
	return facts, nil
}

// folderAge is how long the list of the folder is believed.
const folderAge = 2 * time.Second

// readFolder lists the folder of models, by name.
func (ms *models) readFolder() (map[string]store.Files, error) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if time.Since(ms.listed) < folderAge {
		return ms.folder, nil
	}
	all, err := store.Folder(ms.options.Folder)
	if err != nil {
		return nil, err
	}
	ms.folder, ms.listed = map[string]store.Files{}, time.Now()
	for _, files := range all {
		name, err := store.SuggestName(filepath.Base(files.Model))
		if err == nil {
			ms.folder[name.String()] = files
		}
	}
	return ms.folder, nil
}

// lease is the right to use a model until release.
type lease struct {
	*engine.Lease
	*model
	load time.Duration // that this request waited for the model
}

// use borrows a model. context is the context length that the request needs at least, 0 for any; keep is how long the model stays loaded
// afterwards, nil for what applies anyway. The lease must be released.
func (ms *models) use(ctx context.Context, m *model, contextLength int, keep *time.Duration) (*lease, error) {
	key, spec, err := ms.key(m, contextLength)
	if err != nil {
		return nil, err
	}
	if facts, err := ms.facts(spec.Model); err == nil && facts.fused {
		return nil, fmt.Errorf("%w: %s holds the vision tower and the language model in one file, which libllama does not open; import the two files that llama.cpp's converter makes",
			store.ErrUnsupported, m.name)
	}
	ms.pool.Register(key, spec)
	ms.mu.Lock()
	ms.inPool[key] = m
	ms.mu.Unlock()
	began := time.Now()
	l, err := ms.pool.Use(ctx, key)
	if err != nil {
		return nil, err
	}
	if keep != nil {
		l.KeepAlive(*keep)
	}
	rec := recordOf(ctx)
	rec.model = m.name
	return &lease{Lease: l, model: m, load: time.Since(began)}, nil
}

// key is the name under which the pool loads a model, which stands for the files and not for the name that a client used, so that copies are
// loaded once; and what is loaded. A request for a longer context than the model has by default gets the next power of two, lest each
// length is a model of its own.
func (ms *models) key(m *model, contextLength int) (string, engine.ModelSpec, error) {
	spec := m.spec
	if contextLength > cmp.Or(spec.Context, engine.DefaultContext) {
		if contextLength > ms.limits.Context {
			return "", spec, refuseField("num_ctx", "a context of %d tokens is more than this server gives, which is %d", contextLength, ms.limits.Context)
		}
		n := engine.DefaultContext
		for n < contextLength {
			n *= 2
		}
		spec.Context = min(n, ms.limits.Context)
	}
	return fmt.Sprintf("%s@%d", m.digest, spec.Context), spec, nil
}

// loadedModel is a model that takes memory.
type loadedModel struct {
	*model
	engine.PoolModel
}

// loaded lists the models that take memory.
func (ms *models) loaded() []loadedModel {
	var list []loadedModel
	for _, p := range ms.pool.List() {
		ms.mu.Lock()
		m := ms.inPool[p.Name]
		ms.mu.Unlock()
		if m != nil {
			list = append(list, loadedModel{m, p})
		}
	}
	return list
}

// unload lets go of a model in all context lengths.
func (ms *models) unload(m *model) {
	for _, l := range ms.loaded() {
		if l.digest == m.digest {
			_ = ms.pool.Unload(l.PoolModel.Name) // gone meanwhile, or the pool is closed
		}
	}
}
