package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ollama/ollama/api"
	ollama "github.com/ollama/ollama/types/model"

	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/pool"
	templates "github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/reply"
	"github.com/eyelet-engine/eyelet/models/store"
)

// tagsResponse is Ollama's list of models, and what Eyelet adds: those that cannot be used, and
// why.
type tagsResponse struct {
	Models   []listedModel   `json:"models"`
	Unusable []unusableModel `json:"unusable,omitempty"`
}

// listedModel is a model in Ollama's list, with what it can be asked for.
type listedModel struct {
	api.ListModelResponse
	Capabilities []ollama.Capability `json:"capabilities"`
}

// abilitiesOf returns what a model can be asked for. It is found once for each model.
func (ms *models) abilitiesOf(m *model) []ollama.Capability {
	if known, ok := ms.abilities.Load(m.digest); ok {
		return known.([]ollama.Capability)
	}
	if m.draws() {
		return []ollama.Capability{ollama.CapabilityImage}
	}
	file, err := gguf.Open(m.spec.Model)
	if err != nil {
		return []ollama.Capability{}
	}
	defer file.Close()
	list := m.capabilities(file)
	ms.abilities.Store(m.digest, list)
	return list
}

// ownTemplate returns the chat template that the model is used with; empty if its file cannot be
// read.
func (m *model) ownTemplate() string {
	file, err := gguf.Open(m.spec.Model)
	if err != nil {
		return ""
	}
	defer file.Close()
	return m.template(file)
}

// ollamaTags answers GET /api/tags: the models that there are.
func (s *Server) ollamaTags(w http.ResponseWriter, _ *http.Request) error {
	all, err := s.models.all()
	if err != nil {
		return err
	}
	list := tagsResponse{Models: []listedModel{}, Unusable: s.models.unusable()}
	for _, m := range all {
		list.Models = append(list.Models,
			listedModel{api.ListModelResponse{Name: m.name, Model: m.name, ModifiedAt: m.modified,
				Size: m.size, Digest: m.digest, Details: m.details()}, s.models.abilitiesOf(m)})
	}
	// The newest come first, as in Ollama.
	slices.SortStableFunc(list.Models, func(a, b listedModel) int {
		return b.ModifiedAt.Compare(a.ModifiedAt)
	})
	return s.writeJSON(w, http.StatusOK, list)
}

// details returns what the model's configuration says of it.
func (m *model) details() api.ModelDetails {
	c := m.config
	return api.ModelDetails{Format: cmp.Or(c.ModelFormat, "gguf"), Family: c.ModelFamily,
		Families: c.ModelFamilies, ParameterSize: c.ModelType, QuantizationLevel: c.FileType}
}

// psResponse is Ollama's list of loaded models, with what Eyelet adds.
type psResponse struct {
	Models []loadedResponse `json:"models"`
}

// loadedResponse is a loaded model, and what of it lies on which device.
type loadedResponse struct {
	api.ProcessModelResponse
	Devices []placement.Share `json:"devices,omitempty"`
}

// showResponse is what Ollama tells of a model, and where it would lie if it were loaded now.
type showResponse struct {
	api.ShowResponse
	Placement *placement.Placement `json:"placement,omitempty"`
}

// ollamaPs answers GET /api/ps: the models that take memory.
func (s *Server) ollamaPs(w http.ResponseWriter, _ *http.Request) error {
	list := psResponse{Models: []loadedResponse{}}
	for _, l := range s.models.loaded() {
		if l.State == pool.Unloading {
			continue
		}
		m := loadedResponse{api.ProcessModelResponse{Name: l.name, Model: l.name, Size: l.Bytes,
			Digest: l.digest, Details: l.details(), ExpiresAt: l.Expires,
			ContextLength: l.Status.Info.Context}, l.Status.Info.Devices}
		for _, d := range l.Status.Info.Devices {
			m.SizeVRAM += d.Bytes
			if !d.Shared {
				m.Size += d.Bytes
			}
		}
		switch {
		case !m.ExpiresAt.IsZero():
		case l.Leases > 0 && l.Keep >= 0:
			m.ExpiresAt = time.Now().Add(l.Keep) // in use; if that ended now
		default:
			m.ExpiresAt = time.Now().Add(far)
		}
		list.Models = append(list.Models, m)
	}
	slices.SortStableFunc(list.Models, func(a, b loadedResponse) int {
		return b.ExpiresAt.Compare(a.ExpiresAt)
	})
	return s.writeJSON(w, http.StatusOK, list)
}

// far is when a model expires that does not: clients show centuries as "forever".
const far = math.MaxInt64

// ollamaShow answers POST /api/show: all that is known of a model.
func (s *Server) ollamaShow(w http.ResponseWriter, r *http.Request, q *api.ShowRequest) error {
	//lint:ignore SA1019 older clients send it
	m, err := s.models.find(cmp.Or(q.Model, q.Name))
	if err != nil {
		return err
	}
	if m.draws() {
		return s.writeJSON(w, http.StatusOK, m.showDrawing())
	}
	file, err := gguf.Open(m.spec.Model)
	if err != nil {
		return err
	}
	defer file.Close() // after the answer is written: values are views of the file
	show := api.ShowResponse{Details: m.details(), ModifiedAt: m.modified, System: cmp.Or(q.System,
		m.system()), Messages: m.opening(), ModelInfo: metadata(file, q.Verbose)}
	delete(show.ModelInfo, "general.name")
	delete(show.ModelInfo, "tokenizer.chat_template")
	show.Template = m.template(file)
	if m.stored != nil {
		show.License = strings.Join(m.stored.Licenses, "\n")
		show.Parameters = parametersText(m.params())
	}
	if q.Verbose {
		for _, t := range file.Tensors() {
			show.Tensors = append(show.Tensors, api.Tensor{Name: t.Name, Type: t.Type.String(),
				Shape: t.Dims})
		}
	}
	show.Capabilities = m.capabilities(file)
	if m.spec.Projector != "" {
		projector, err := gguf.Open(m.spec.Projector)
		if err != nil {
			return err
		}
		defer projector.Close()
		show.ProjectorInfo = metadata(projector, q.Verbose)
	}
	show.Modelfile = m.modelfile(show)
	place, _ := placement.Of(r.Context(), &m.spec) // nil where it cannot be told
	return s.writeJSON(w, http.StatusOK, showResponse{show, place})
}

// showDrawing returns what is known of a model that draws.
func (m *model) showDrawing() api.ShowResponse {
	show := api.ShowResponse{Details: m.details(), ModifiedAt: m.modified,
		License: strings.Join(m.stored.Licenses, "\n"), ModelInfo: map[string]any{},
		Capabilities: []ollama.Capability{ollama.CapabilityImage}}
	show.Modelfile = m.modelfile(show)
	return show
}

// template returns the chat template that the model is used with.
func (m *model) template(file *gguf.File) string {
	if m.stored != nil && m.stored.Template != "" {
		return m.stored.Template
	}
	if m.spec.ChatTemplate != "" {
		return m.spec.ChatTemplate
	}
	text, _ := file.Str("tokenizer.chat_template")
	return text
}

// capabilities returns what the model can be asked for, in Ollama's words.
func (m *model) capabilities(file *gguf.File) []ollama.Capability {
	var list []ollama.Capability
	if n, pooled := file.Uint(file.Architecture() + ".pooling_type"); pooled && n != 0 {
		return append(list, ollama.CapabilityEmbedding)
	}
	list = append(list, ollama.CapabilityCompletion)
	if m.spec.Projector != "" {
		list = append(list, ollama.CapabilityVision)
	}
	parse := templates.Parse
	if m.spec.GoTemplate != "" {
		parse = templates.ParseGo
	}
	template, err := parse(m.template(file), templates.Options{})
	if err != nil {
		return list
	}
	style := reply.Detect(context.Background(), template, m.template(file))
	if style.Native {
		list = append(list, ollama.CapabilityTools)
	}
	if style.Open != "" {
		list = append(list, ollama.CapabilityThinking)
	}
	return list
}

// shortArray is how many elements of an array are shown without being asked for.
const shortArray = 5

// metadata returns the keys of a GGUF file. Long arrays, which are vocabularies, are empty unless
// all is asked for.
func metadata(file *gguf.File, verbose bool) map[string]any {
	info := map[string]any{}
	for _, kv := range file.Keys() {
		info[kv.Key] = kv.Value
		if kv.Value.Type() == gguf.Array && kv.Value.Len() > shortArray && !verbose {
			info[kv.Key] = []any{}
		}
	}
	parameters := uint64(0)
	for _, t := range file.Types() {
		parameters += t.Elements
	}
	info["general.parameter_count"] = parameters
	return info
}

// parameter is one of a model's parameters; lists are several of the same name.
type parameter struct {
	name  string
	value any
}

// parameterList are parameters by name.
func parameterList(p store.Params) []parameter {
	data, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	var values map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // else a seed would come out as 4e+09, which Ollama's client does not read
	if err := d.Decode(&values); err != nil {
		return nil
	}
	var out []parameter
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list, ok := values[key].([]any)
		if !ok {
			list = []any{values[key]}
		}
		for _, v := range list {
			out = append(out, parameter{key, v})
		}
	}
	return out
}

// parametersText writes parameters as Ollama shows them, a line each.
func parametersText(p store.Params) string {
	var lines []string
	for _, x := range parameterList(p) {
		form := "%-30s %v"
		if _, text := x.value.(string); text {
			form = "%-30s %q"
		}
		lines = append(lines, fmt.Sprintf(form, x.name, x.value))
	}
	return strings.Join(lines, "\n")
}

// modelfileText writes a text as Modelfiles quote it, which know no escapes.
func modelfileText(text string) string {
	switch {
	case strings.ContainsAny(text, "\"\n\r"):
		return `"""` + text + `"""`
	case text == "" || strings.TrimSpace(text) != text:
		return `"` + text + `"`
	}
	return text
}

// modelfile describes the model as the file from which Ollama would make it.
func (m *model) modelfile(show api.ShowResponse) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Modelfile generated by \"ollama show\"\nFROM %s\n", m.name)
	if m.spec.GoTemplate != "" { // one in Jinja, which Modelfiles do not have, comes with FROM
		fmt.Fprintf(&b, "TEMPLATE %s\n", modelfileText(m.spec.GoTemplate))
	}
	if show.System != "" {
		fmt.Fprintf(&b, "SYSTEM %s\n", modelfileText(show.System))
	}
	for _, p := range parameterList(m.params()) {
		fmt.Fprintf(&b, "PARAMETER %s %s\n", p.name, modelfileText(fmt.Sprint(p.value)))
	}
	for _, msg := range show.Messages {
		fmt.Fprintf(&b, "MESSAGE %s %s\n", msg.Role, modelfileText(msg.Content))
	}
	if m.stored != nil {
		for _, license := range m.stored.Licenses {
			fmt.Fprintf(&b, "LICENSE %s\n", modelfileText(license))
		}
	}
	return b.String()
}
