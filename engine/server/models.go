package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/builtin"
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
	builtin  bool            // it is inside the program
	layers   *int            // on devices, that a request asks for; nil for the usual
}

// system returns the system prompt that comes with the model.
func (m *model) system() string {
	if m.stored == nil {
		return ""
	}
	return m.stored.System
}

// params returns the sampling parameters that come with the model.
func (m *model) params() store.Params {
	if m.stored == nil {
		return store.Params{}
	}
	return m.stored.Params
}

// opening returns the turns that open each conversation with the model, as its manifest has them.
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

// withoutOpening returns the model without the turns that open its conversations.
func (m *model) withoutOpening() *model {
	c := *m
	if m.stored != nil {
		stored := *m.stored
		stored.Messages = nil
		c.stored = &stored
	}
	return &c
}

// models finds models by name and lends them. Names given by the operator come first, then those of
// the folder, of the store, of Ollama's, and the built-in model last.
type models struct {
	pool    *pool.Pool
	store   *store.Store // may be nil
	options *Options
	limits  Limits
	log     *slog.Logger
	fixed   map[string]NamedModel // by name with tag

	mu        sync.Mutex
	found     map[string]foundModel // by what was asked for
	files     map[string]*fileFacts // of GGUF files, by path
	abilities sync.Map              // what models can be asked for, by digest
	inPool    map[string]*model     // by the names that the pool knows them by
	said      map[string]bool       // cautions in the log, by the pool's name of the model
	folder    *folder               // nil for none

	extracted [2]string // files of the built-in model; empty before it was asked for
}

func newModels(pool *pool.Pool, st *store.Store, options *Options, limits Limits) (*models, error) {
	m := &models{log: cmp.Or(options.Log, slog.Default()), pool: pool, store: st, options: options,
		limits: limits, fixed: map[string]NamedModel{}, found: map[string]foundModel{},
		files: map[string]*fileFacts{}, inPool: map[string]*model{}, said: map[string]bool{}}
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
		var err error
		if m.folder, err = newFolder(options.Folder, m.log); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// find returns the model with a name, of which the tag "latest" may be left out, or with a digest.
// Errors wrap pool.ErrUnknownModel or store.ErrNotFound, or say what is wrong with the model.
func (ms *models) find(ref string) (*model, error) {
	if ref == "" {
		return nil, failure.Field("model", "the request names no model")
	}
	ms.mu.Lock()
	known, ok := ms.found[ref]
	ms.mu.Unlock()
	if ok && time.Since(known.at) < foundAge {
		return known.model, nil
	}
	m, err := ms.search(bareName(ref))
	if errors.Is(err, pool.ErrUnknownModel) || errors.Is(err, store.ErrNotFound) {
		if folded := ms.folded(bareName(ref)); folded != nil {
			m, err = folded, nil
		}
	}
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

// bareName returns a model's name without the address of Ollama's registry, which Ollama's clients
// may write out.
func bareName(ref string) string {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "https://"), "http://")
	for _, prefix := range []string{"registry.ollama.ai/", "library/"} {
		if len(ref) > len(prefix) && strings.EqualFold(ref[:len(prefix)], prefix) {
			ref = ref[len(prefix):]
		}
	}
	return ref
}

// folded returns the model whose name equals ref apart from upper and lower case, or nil.
func (ms *models) folded(ref string) *model {
	name, err := store.ParseName(ref)
	if err != nil {
		return nil
	}
	all, err := ms.all()
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all, func(m *model) bool {
		return strings.EqualFold(m.name, name.String())
	})
	switch {
	case i >= 0:
		return all[i]
	case strings.EqualFold(name.Path, "builtin") && ms.hasBuiltin() && name.Tag == "latest":
		if m, err := ms.ofBuiltin(); err == nil {
			return m
		}
	}
	return nil
}

// useOnly borrows the model that [models.orOnly] finds.
func (ms *models) useOnly(ctx context.Context, ref string) (*lease, error) {
	m, err := ms.orOnly(ref)
	if err != nil {
		return nil, err
	}
	return ms.use(ctx, m, 0, nil)
}

// orOnly is find for APIs of servers that have one model: without a name it is the operator's, or
// the loaded one, or the one that there is.
func (ms *models) orOnly(ref string) (*model, error) {
	if ref != "" {
		return ms.find(ref)
	}
	if len(ms.options.Models) == 1 {
		return ms.find(ms.options.Models[0].Name)
	}
	if loaded := ms.loaded(); len(loaded) == 1 {
		return loaded[0].model, nil
	}
	if all, err := ms.all(); err == nil && len(all) == 1 {
		return all[0], nil
	}
	return nil, failure.Field("model", "the request names no model, and there are several")
}

// foundModel remembers for a moment which model a name stands for. A search reads manifests, all of
// Ollama's among them, and would delay every answer.
type foundModel struct {
	model *model
	at    time.Time
}

const (
	foundAge = time.Second
	maxFound = 1024
)

// forget drops what is remembered of names, after the store was changed.
func (ms *models) forget() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	clear(ms.found)
}

// search is [models.find] without what is remembered.
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
		// The built-in model can be used even where the store cannot be read.
		if !errors.Is(err, store.ErrNotFound) && !ms.isBuiltin(name) {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if ms.isBuiltin(name) {
		return ms.ofBuiltin()
	}
	return nil, failure.MissingModel(ref)
}

// named returns the model to which the operator or the folder gives this name, or nil.
func (ms *models) named(name store.Name) (*model, error) {
	if n, ok := ms.fixed[name.String()]; ok {
		return ms.ofFiles(name.String(), n.Spec)
	}
	if ms.folder == nil {
		return nil, nil
	}
	files, ok, err := ms.folder.find(name.String())
	if !ok {
		return nil, err
	}
	return ms.ofFiles(name.String(), engine.ModelSpec{Model: files.Model,
		Projector: files.Projector})
}

// all lists the models, by name. Those that cannot be used are left out; see unusable.
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
	ms.ofFolder(add)
	if ms.store != nil {
		stored, err := ms.store.List()
		if err != nil { // the others can be used all the same
			ms.log.Warn("the store cannot be read", "error", err)
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
	return slices.SortedFunc(maps.Values(byName), func(a, b *model) int {
		return strings.Compare(a.name, b.name)
	}), nil
}

func (ms *models) hasBuiltin() bool { return !ms.options.NoBuiltin }

// isBuiltin reports whether a name is one of the built-in model's.
func (ms *models) isBuiltin(name store.Name) bool {
	return ms.hasBuiltin() && name.Tag == "latest" && (name.Path == builtin.Name ||
		name.Path == "builtin")
}
