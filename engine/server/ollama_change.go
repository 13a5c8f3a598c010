package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"slices"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/faults"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
	templates "github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/quantize"
	"github.com/eyelet-engine/eyelet/models/store"
)

// ollamaCreate answers POST /api/create: a model of uploaded blobs, or of another model with other
// texts.
func (s *Server) ollamaCreate(w http.ResponseWriter, r *http.Request, q *api.CreateRequest) error {
	st, err := s.changing()
	if err != nil {
		return err
	}
	//lint:ignore SA1019 older clients send it
	name, err := changedName("model", cmp.Or(q.Model, q.Name))
	if err != nil {
		return err
	}
	recipe, from, err := s.recipe(st, q)
	if err != nil {
		return err
	}
	//lint:ignore SA1019 older clients send it
	smaller, err := s.quantization(st, cmp.Or(q.Quantize, q.Quantization), q.From, recipe.Files)
	if err != nil {
		return err
	}
	progress := s.newProgress(w, q.Stream)
	if err := progress.say("creating the model"); err != nil {
		return err
	}
	err = compose(r.Context(), st, name, recipe, from, smaller, progress)
	s.models.forget()
	if err != nil {
		return progress.failed(r.Context(), notMade(err))
	}
	return progress.say("success")
}

// notMade returns the error for a model that could not be made. Where its files are no model, the
// client that uploaded them is at fault.
func notMade(err error) error {
	for _, target := range append([]error{quantize.ErrOptions, store.ErrUnsupported},
		faults.GGUF...) {
		if errors.Is(err, target) {
			return failure.Refuse("%s", failure.Text(err)).By(err)
		}
	}
	return err
}

// compose makes a model by its recipe; if it fails, nothing is left of it. The files of from, if
// that is not nil, are brought into the store first. smaller, if not nil, quantizes the language
// model.
func compose(ctx context.Context, st *store.Store, name store.Name, recipe store.Recipe,
	from *model, smaller *quantization, progress *progress) error {
	session, err := st.Begin(ctx)
	if err != nil {
		return err
	}
	if smaller != nil {
		d, err := smaller.run(ctx, st, session, progress)
		if err != nil {
			return errors.Join(err, session.Discard())
		}
		recipe.Files = append(slices.DeleteFunc(recipe.Files, func(x store.Digest) bool {
			return x == smaller.blob
		}), d)
	}
	if from != nil {
		for _, file := range []struct{ path, media string }{{from.spec.Model, store.MediaModel},
			{from.spec.Projector, store.MediaProjector}} {
			if file.path == "" || smaller != nil && file.media == store.MediaModel {
				continue
			}
			d, err := session.AddFile(ctx, file.path, file.media, nil)
			if err != nil {
				return errors.Join(err, session.Discard())
			}
			recipe.Files = append(recipe.Files, d.Digest)
		}
	}
	if _, err := session.Compose(ctx, name, recipe); err != nil {
		return errors.Join(err, session.Discard())
	}
	return session.Close()
}

// recipe returns the store's recipe for the model that a request describes.
func (s *Server) recipe(st *store.Store,
	q *api.CreateRequest) (recipe store.Recipe, from *model, err error) {
	switch {
	case len(q.Adapters) > 0:
		return recipe, nil, failure.Field("adapters",
			"the server runs no LoRA adapters; merge them into the model")
	case q.RemoteHost != "":
		return recipe, nil, failure.Field("remote_host", "the server asks no other server")
	case q.From == "" && len(q.Files) == 0:
		return recipe, nil, failure.Field("from",
			"neither from nor files says what the model is made of")
	}
	if q.From != "" {
		if from, err = s.recipeFrom(st, q, &recipe); err != nil {
			return recipe, nil, err
		}
	}
	// so that parts of a split model are in their order
	for _, file := range slices.Sorted(maps.Keys(q.Files)) {
		if !fs.ValidPath(file) {
			return recipe, nil, failure.Field("files", "%.100q is no name of a file", file)
		}
		d, err := store.ParseDigest(q.Files[file])
		if err != nil {
			return recipe, nil, failure.Field("files",
				"%.100q has no digest; upload the file, and give sha256: and 64 hexadecimal digits",
				file)
		}
		if !st.HasBlob(d) {
			return recipe, nil, failure.Field("files",
				"the blob of %.100q is not here; upload it first: POST /api/blobs/%s", file, d)
		}
		recipe.Files = append(recipe.Files, d)
	}
	if len(recipe.Files) > 0 {
		if err := st.AllowUnsigned("uploads"); err != nil {
			return recipe, nil, err
		}
	}
	return recipe, from, recipeTexts(&recipe, q)
}

// recipeFrom adds a request's base model to its recipe. A base of files that are in no store is
// returned instead.
func (s *Server) recipeFrom(st *store.Store, q *api.CreateRequest,
	recipe *store.Recipe) (from *model, err error) {
	base, err := s.models.find(q.From)
	if err != nil {
		return nil, err
	}
	if q.Template != "" && q.Template == base.ownTemplate() {
		q.Template = "" // as it was shown; that of the file need not be said again
	}
	if q.Template == "" && base.stored == nil {
		q.Template = base.spec.ChatTemplate // the operator's, which is no part of the file
	}
	if len(q.Parameters) > 0 {
		inherit(q.Parameters, base.params())
	}
	if base.stored == nil {
		if err := st.AllowUnsigned("files"); err != nil {
			return nil, err
		}
		from = base
	} else if recipe.Base, err = st.Find(base.name); err != nil {
		return nil, err
	}
	if from == nil && recipe.Base.Source != store.SourceStore {
		if err := st.AllowUnsigned("Ollama's models"); err != nil {
			return nil, err
		}
	}
	return from, nil
}

// inherit adds the parameters of a base model that the request does not set.
func inherit(parameters map[string]any, from store.Params) {
	data, err := json.Marshal(from)
	if err != nil {
		return
	}
	var own map[string]any
	if json.Unmarshal(data, &own) != nil {
		return
	}
	for name, value := range own {
		if _, named := parameters[name]; !named {
			parameters[name] = value
		}
	}
}

// recipeTexts adds the template, prompt, parameters, turns and licences of a request.
func recipeTexts(recipe *store.Recipe, q *api.CreateRequest) error {
	recipe.Texts = map[string][]byte{}
	if q.Template != "" {
		if _, err := templates.ParseGo(q.Template, templates.Options{}); err != nil &&
			!templates.IsJinja(q.Template) {
			return failure.Field("template", "%s", failure.Text(err))
		}
		recipe.Texts[store.MediaTemplate] = []byte(q.Template)
	}
	if q.System != "" {
		recipe.Texts[store.MediaSystem] = []byte(q.System)
	}
	if len(q.Parameters) > 0 {
		if err := fields.NewOptions().OfRequest(q.Parameters); err != nil {
			return err
		}
		if stop, ok := q.Parameters["stop"].(string); ok {
			q.Parameters["stop"] = []string{stop}
		}
		data, err := json.Marshal(q.Parameters)
		if err != nil {
			return err
		}
		if err := checkPlacement(data); err != nil {
			return err
		}
		recipe.Texts[store.MediaParams] = data
	}
	if len(q.Messages) > 0 {
		for i, msg := range q.Messages {
			if msg.Role == "" || len(msg.Images) > 0 {
				return failure.Field("messages",
					"message %d has no role, or has pictures, which a model's own messages "+
						"cannot have",
					i+1)
			}
		}
		data, err := json.Marshal(q.Messages)
		if err != nil {
			return err
		}
		recipe.Texts[store.MediaMessages] = data
	}
	var err error
	recipe.Licenses, err = licenses(q.License)
	return err
}

// checkPlacement refuses parameters by which the model could not be placed here.
func checkPlacement(params []byte) error {
	p, err := store.ParseParams(params)
	if err != nil {
		return failure.Field("parameters", "%s", failure.Text(err))
	}
	var spec engine.ModelSpec
	spec.TakePlacement(p.Placement())
	return placement.Check(&spec)
}

// licenses reads a licence, or a list of them.
func licenses(field any) (texts []string, err error) {
	switch license := field.(type) {
	case nil:
	case string:
		texts = []string{license}
	case []any:
		for _, x := range license {
			text, ok := x.(string)
			if !ok {
				return nil, failure.Field("license", "the licences hold something that is no text")
			}
			texts = append(texts, text)
		}
	default:
		return nil, failure.Field("license",
			"the licence is neither a text nor a list of texts")
	}
	return texts, nil
}

// progress reports to a client how far a change has come, a line each time, or only how it ended.
type progress struct {
	s        *Server
	out      *stream
	streamed bool
	last     api.ProgressResponse
}

func (s *Server) newProgress(w http.ResponseWriter, stream *bool) *progress {
	return &progress{s: s, out: s.newStream(w, asLines), streamed: stream == nil || *stream}
}

func (p *progress) say(status string) error {
	return p.report(api.ProgressResponse{Status: status})
}

// report is say with figures.
func (p *progress) report(news api.ProgressResponse) error {
	p.last = news
	if p.streamed {
		return p.out.sendLine(p.last)
	}
	if news.Status == "success" {
		return p.s.writeJSON(p.out.w, http.StatusOK, p.last)
	}
	return nil
}

// failed returns err, after sending it as the last line if lines were sent before.
func (p *progress) failed(ctx context.Context, err error) error {
	if p.out.begun {
		// the client may be gone
		_ = p.out.sendLine(ollama.ErrorBody(failure.Of(ctx, err)))
	}
	return err
}

// changedName parses the name of the model that a request makes or deletes. Errors name the field.
func changedName(field, ref string) (store.Name, error) {
	if ref == "" {
		return store.Name{}, failure.Wrong(field, "is missing: the name of a model")
	}
	return store.ParseName(ref)
}

// ollamaCopy answers POST /api/copy: another name for a model.
func (s *Server) ollamaCopy(w http.ResponseWriter, r *http.Request, q *api.CopyRequest) error {
	st, err := s.changing()
	if err != nil {
		return err
	}
	if q.Source == "" {
		return failure.Wrong("source", "is missing: the model to copy")
	}
	to, err := changedName("destination", q.Destination)
	if err != nil {
		return err
	}
	from, err := s.models.find(q.Source)
	if err != nil {
		return err
	}
	defer s.models.forget()
	if from.stored == nil {
		_, err = st.Import(r.Context(), to, store.Files{Model: from.spec.Model,
			Projector: from.spec.Projector, From: from.name}, true, nil)
	} else {
		_, err = st.Copy(r.Context(), from.name, to, true)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// ollamaDelete answers DELETE /api/delete: it removes a name, and files that no other name needs.
func (s *Server) ollamaDelete(w http.ResponseWriter, _ *http.Request, q *api.DeleteRequest) error {
	st, err := s.changing()
	if err != nil {
		return err
	}
	//lint:ignore SA1019 older clients send it
	name, err := changedName("model", cmp.Or(q.Model, q.Name))
	if err != nil {
		return err
	}
	m, err := s.models.find(name.String())
	if err == nil && m.stored == nil {
		return failure.Field("model", "%s is no model of the store; only those can be deleted",
			name)
	}
	defer s.models.forget()
	if _, err := st.Delete(name); err != nil {
		return err
	}
	if m != nil {
		s.models.unload(m)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// ollamaPull answers POST /api/pull. A model that is here counts as pulled. Any other is refused:
// the server would have to connect to another machine.
func (s *Server) ollamaPull(w http.ResponseWriter, r *http.Request, q *api.PullRequest) error {
	//lint:ignore SA1019 older clients send it
	if _, err := s.models.find(cmp.Or(q.Model, q.Name)); err != nil {
		return s.ollamaTransfer(w, r)
	}
	progress := s.newProgress(w, q.Stream)
	if err := progress.say("pulling manifest"); err != nil {
		return err
	}
	return progress.say("success")
}

// ollamaTransfer refuses POST /api/push, and /api/pull of a model that is not here: the server
// would have to connect to another machine.
func (s *Server) ollamaTransfer(_ http.ResponseWriter, r *http.Request) error {
	return failure.New(http.StatusNotImplemented, failure.KindUnsupported,
		"%s is not served: this server has no registry, and connects to none; on its machine, "+
			"\"eyelet import\", \"eyelet pull\" and \"eyelet push\" carry models",
		r.URL.Path)
}
