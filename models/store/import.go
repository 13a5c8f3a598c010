package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Files are the files of which a model is made.
type Files struct {
	// GGUF file of the language model, any part of a split one; or safetensors or GGUF file of a
	// model that draws
	Model     string
	Projector string          // GGUF file of vision tower and projector, "" for a text model
	Licenses  []string        // text files
	System    string          // system prompt, "" for none
	Parts     diffusion.Parts // of a model that draws: parts that are not in its own file
	// where they come from, for people; "" for the name of the model's file
	From string
}

// Import copies files into the store under a name. Their headers are checked first, so that nothing
// is copied that no engine would open. progress, which may be nil, is told of bytes as they are
// copied.
func (s *Store) Import(ctx context.Context, name Name, files Files, replace bool,
	progress func(n int64)) (*Model, error) {
	if err := s.AllowUnsigned("files"); err != nil {
		return nil, err
	}
	return s.inSession(ctx, func(t *Session) (*Model, error) {
		return t.Import(ctx, name, files, replace, progress)
	})
}

// Import is [Store.Import] in this session, without a look at the policy.
func (t *Session) Import(ctx context.Context, name Name, files Files, replace bool,
	progress func(n int64)) (*Model, error) {
	drawing, err := diffusion.Inspect(files.Model, files.Parts)
	if err == nil {
		return t.importDrawing(ctx, name, drawing, files, replace, progress)
	}
	if !errors.Is(err, diffusion.ErrNotDiffusion) {
		return nil, err
	}
	model, err := gguf.Open(files.Model)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	if len(files.Parts) > 0 {
		return nil, fmt.Errorf("store: %w: %s does not draw pictures and has no part %s", ErrKind,
			files.Model, files.Parts.List()[0])
	}
	if model.Architecture() == "clip" {
		return nil, fmt.Errorf(
			"store: %w: %s is a vision projector; give it as the projector of a language model",
			ErrUnsupported, files.Model)
	}
	return t.importFiles(ctx, name, model, files, replace, progress)
}

func (t *Session) importFiles(ctx context.Context, name Name, model *gguf.File, files Files,
	replace bool, progress func(int64)) (*Model, error) {
	m := Manifest{SchemaVersion: 2, MediaType: MediaManifest, Annotations: provenance(model)}
	m.Annotations[AnnotationImportedFrom] = files.From
	if files.From == "" {
		m.Annotations[AnnotationImportedFrom] = filepath.Base(files.Model)
	}
	config := ConfigOf(model)
	for _, part := range model.Parts() {
		if err := t.addLayer(ctx, &m, part, MediaModel, progress); err != nil {
			return nil, err
		}
	}
	if files.Projector != "" {
		if err := checkProjector(files.Projector); err != nil {
			return nil, err
		}
		if err := t.addLayer(ctx, &m, files.Projector, MediaProjector, progress); err != nil {
			return nil, err
		}
		config.ModelFamilies = append(config.ModelFamilies, "clip")
	}
	if err := t.addLicenses(ctx, &m, files.Licenses); err != nil {
		return nil, err
	}
	if files.System != "" {
		d, err := t.AddBytes(ctx, []byte(files.System), MediaSystem)
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, d)
	}
	return t.createFrom(ctx, name, &m, config, replace)
}

// addLayer stores a file and makes it a layer of m.
func (t *Session) addLayer(ctx context.Context, m *Manifest, path, mediaType string,
	progress func(int64)) error {
	d, err := t.AddFile(ctx, path, mediaType, progress)
	if err != nil {
		return err
	}
	d.Annotations = map[string]string{AnnotationTitle: filepath.Base(path)}
	m.Layers = append(m.Layers, d)
	return nil
}

// addLicenses stores the texts of licences and makes them layers of m.
func (t *Session) addLicenses(ctx context.Context, m *Manifest, paths []string) error {
	for _, path := range paths {
		d, err := t.addLicense(ctx, path)
		if err != nil {
			return err
		}
		m.Layers = append(m.Layers, d)
	}
	return nil
}

// addLicense stores the text of a licence. What is no text would keep the model from being opened.
func (t *Session) addLicense(ctx context.Context, path string) (Descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return Descriptor{}, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSmallBlob+1))
	if err != nil {
		return Descriptor{}, fmt.Errorf("store: %w", err)
	}
	if len(data) > maxSmallBlob {
		return Descriptor{}, fmt.Errorf("store: %s: %w: a licence of more than %d bytes", path,
			ErrUnsupported, maxSmallBlob)
	}
	if !utf8.Valid(data) {
		return Descriptor{}, fmt.Errorf("store: %s: %w: a licence that is not in UTF-8; convert it",
			path, ErrUnsupported)
	}
	d, err := t.AddBytes(ctx, data, MediaLicense)
	d.Annotations = map[string]string{AnnotationTitle: filepath.Base(path)}
	return d, err
}

// createFrom stores the configuration and names the manifest.
func (t *Session) createFrom(ctx context.Context, name Name, m *Manifest, config *Config,
	replace bool) (*Model, error) {
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{}
	for _, d := range m.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, string(d.Digest))
	}
	data, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if m.Config, err = t.AddBytes(ctx, data, MediaConfig); err != nil {
		return nil, err
	}
	raw, err := m.encode()
	if err != nil {
		return nil, err
	}
	return t.Create(name, raw, replace)
}

func checkProjector(path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if arch := f.Architecture(); arch != "clip" {
		return fmt.Errorf("store: %w: %s is a %s model, not a vision projector", ErrUnsupported,
			path, arch)
	}
	return nil
}

// ConfigOf describes a model file in Ollama's words.
func ConfigOf(f *gguf.File) *Config {
	c := &Config{ModelFormat: "gguf", ModelFamily: f.Architecture(),
		ModelFamilies: []string{f.Architecture()}, Architecture: "amd64", OS: "linux"}
	var parameters uint64
	for _, t := range f.Types() {
		parameters += t.Elements
	}
	c.ModelType = parametersText(parameters)
	if t, ok := f.FileType(); ok {
		c.FileType = t.String()
	}
	return c
}

// parametersText writes a count of parameters as Ollama does, "7.2B" or "137M".
func parametersText(n uint64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if x := float64(n) / unit.size; x >= 1 {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", math.Round(x*10)/10), ".0") + unit.name
		}
	}
	return fmt.Sprint(n)
}

// provenance collects what a model file says of its origin and licence, as annotations. The keys
// are those of GGUF's specification.
func provenance(f *gguf.File) map[string]string {
	a := map[string]string{}
	set := func(annotation string, keys ...string) {
		for _, key := range keys {
			if text, ok := f.Str(key); ok && text != "" {
				a[annotation] = text
				return
			}
		}
	}
	set(AnnotationTitle, "general.name", "general.basename")
	set(AnnotationLicenses, "general.license", "general.license.name")
	set(AnnotationLicenseLink, "general.license.link")
	set(AnnotationAuthors, "general.author")
	set(AnnotationVendor, "general.organization")
	set(AnnotationSource, "general.source.url", "general.repo_url", "general.url",
		"general.source.repo_url", "general.source.huggingface.repository")
	set(AnnotationQuantizedBy, "general.quantized_by")
	var bases []string
	n, _ := f.Uint("general.base_model.count")
	for i := range min(n, 16) {
		for _, key := range []string{"repo_url", "name"} {
			if text, ok := f.Str(fmt.Sprintf("general.base_model.%d.%s", i, key)); ok &&
				text != "" {
				bases = append(bases, strings.ReplaceAll(text, " ", "-"))
				break
			}
		}
	}
	if len(bases) > 0 {
		a[AnnotationBaseModels] = strings.Join(bases, " ")
	}
	return a
}
