package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

// lease is the right to use a model until release.
type lease struct {
	*pool.Lease
	*model
	load    time.Duration // that this request waited for the model
	bounded func()        // told of a request that bounds the tokens of its pictures
}

// use borrows a model. context is the context length that the request needs at least, 0 for any;
// keep is how long the model stays loaded afterwards, nil for what applies anyway. The lease must
// be released.
func (ms *models) use(ctx context.Context, m *model, contextLength int,
	keep *time.Duration) (*lease, error) {
	if m.draws() {
		return nil, failure.Field("model",
			"%s draws pictures and answers no questions; POST /v1/images/generations draws", m.name)
	}
	key, spec, err := ms.key(m, contextLength)
	if err != nil {
		return nil, err
	}
	if facts, err := ms.facts(spec.Model); err == nil && facts.fused {
		return nil, fmt.Errorf(
			"%w: %s holds the vision tower and the language model in one file, which libllama "+
				"does not open; import the two files that llama.cpp's converter makes",
			store.ErrUnsupported, m.name)
	}
	ms.called(key, m)
	began := time.Now()
	waiting, there := recordOf(ctx).waits.begin(ctx)
	l, err := ms.pool.Use(waiting, key, spec)
	there()
	if err != nil {
		return nil, refused(waiting, err)
	}
	ms.called(key, m) // names may have been forgotten while it was loaded
	if c := l.Model.Info().Caution; c != "" && !ms.cautioned(key) {
		ms.log.Warn("a model's pictures may not be as it was trained", "model", m.name, "why", c)
	}
	if keep != nil {
		l.KeepAlive(*keep)
	}
	rec := recordOf(ctx)
	rec.model = m.name
	return &lease{Lease: l, model: m, load: time.Since(began),
		bounded: func() { ms.noteBudget(key, m, l.Model) }}, nil
}

// mostNames is how many names of models are remembered that the pool may have forgotten.
const mostNames = 1024

// called notes what the pool calls a model. Models come and go; what is no longer in the pool is
// forgotten when many names have come together.
func (ms *models) called(key string, m *model) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if len(ms.inPool) >= mostNames {
		list := ms.pool.List()
		maps.DeleteFunc(ms.inPool, func(name string, _ *model) bool {
			return !slices.ContainsFunc(list, func(p pool.Status) bool {
				return p.Name == name
			})
		})
	}
	ms.inPool[key] = m
}

// cautioned reports whether the log has said something about a model, and takes it as said from now
// on.
func (ms *models) cautioned(key string) (before bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if before = ms.said[key]; len(ms.said) >= mostNames {
		clear(ms.said) // it is said again then
	}
	ms.said[key] = true
	return before
}

// noteBudget says once of a model that bounds of image tokens, OpenAI's detail among them, have no
// effect, if that is so.
func (ms *models) noteBudget(key string, m *model, loaded *engine.Model) {
	if ms.cautioned("budgets of " + key) {
		return
	}
	if n, fixed := loaded.FixedImageTokens(); fixed {
		ms.log.Warn("bounds of image tokens have no effect: the model gives every picture the same",
			"model", m.name, "image_tokens", n)
	}
}

// placed returns the model with as many layers on devices as a request asks for, in Ollama's
// numbers: negative for whatever holds anyway. Where the operator says where models lie, that
// holds, and nothing changes on a machine without devices.
func (ms *models) placed(m *model, layers int) *model {
	operator := ms.options.Spec
	if layers < 0 || m.draws() || operator.Placed() || !placement.Divisible(&operator) {
		return m
	}
	if facts, err := ms.facts(m.spec.Model); err == nil && facts.layers > 0 {
		layers = min(layers, facts.layers)
	}
	own := *m
	own.spec.TensorSplit = nil
	own.spec.TakeLayers(layers)
	own.layers = &layers
	return &own
}

// key returns the name under which the pool loads a model, which stands for the files and not for
// the name that a client used, so that copies are loaded once; and what is loaded. A request for a
// longer context than the model has by default gets the next power of two, lest each length is a
// model of its own.
func (ms *models) key(m *model, contextLength int) (string, engine.ModelSpec, error) {
	spec := m.spec
	if contextLength > cmp.Or(spec.Context, engine.DefaultContext) {
		if contextLength > ms.limits.Context {
			return "", spec, failure.Field("num_ctx",
				"a context of %d tokens is more than this server gives, which is %d", contextLength,
				ms.limits.Context)
		}
		n := engine.DefaultContext
		for n < contextLength {
			n *= 2
		}
		spec.Context = min(n, ms.limits.Context)
	}
	name := fmt.Sprintf("%s@%d", m.digest, spec.Context)
	if m.layers != nil {
		name += fmt.Sprintf("@%d", *m.layers)
	}
	return name, spec, nil
}

// loadedModel is a model that takes memory.
type loadedModel struct {
	*model
	pool.Status
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
			_ = ms.pool.Unload(l.Status.Name) // gone meanwhile, or the pool is closed
		}
	}
}
