package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// Recipe says of what a model is to be made that is put together in the store.
type Recipe struct {
	// Base is a model whose files and texts the new one begins with; nil for none. Its blobs come
	// into the store where they are another's.
	Base *Model
	// Files are blobs of the store that are GGUF files: a language model, of a split one all parts
	// in their order, and at most one projector. Given files take the place of those of Base of the
	// same kind.
	Files []Digest
	// Texts are contents of layers by media type: MediaTemplate, MediaSystem, MediaParams,
	// MediaMessages. They take the place of those of Base.
	Texts map[string][]byte
	// Licenses are texts, which are added to those of Base; one that is there already is not added
	// again.
	Licenses []string
}

// Compose makes a model of blobs and names it, replacing what had the name. The policy is not
// looked at.
func (t *Session) Compose(ctx context.Context, name Name, r Recipe) (*Model, error) {
	m := Manifest{SchemaVersion: 2, MediaType: MediaManifest, Annotations: map[string]string{}}
	config := &Config{}
	if r.Base != nil {
		if err := t.adoptBlobs(ctx, r.Base, nil); err != nil {
			return nil, err
		}
		m.Layers = slices.Clone(r.Base.Manifest.Layers)
		maps.Copy(m.Annotations, r.Base.Manifest.Annotations)
		if c, err := r.Base.Config(); err == nil { // it only describes
			config = &c
		}
	}
	if len(r.Files) > 0 {
		if err := t.composeFiles(&m, config, r.Files); err != nil {
			return nil, err
		}
	}
	for _, mediaType := range slices.Sorted(maps.Keys(r.Texts)) {
		if err := t.composeText(ctx, &m, mediaType, r.Texts[mediaType], true); err != nil {
			return nil, err
		}
	}
	for _, license := range r.Licenses {
		if err := t.composeText(ctx, &m, MediaLicense, []byte(license), false); err != nil {
			return nil, err
		}
	}
	return t.createFrom(ctx, name, &m, config, true)
}

// composeFiles makes layers of GGUF files, and the configuration of the language model among them.
func (t *Session) composeFiles(m *Manifest, config *Config, files []Digest) error {
	kinds := map[string][]Descriptor{}
	for _, d := range files {
		layer, f, err := t.composeFile(d)
		if err != nil {
			return err
		}
		if layer.MediaType == MediaModel && len(kinds[MediaModel]) == 0 {
			families := config.ModelFamilies
			*config = *ConfigOf(f)
			if slices.Contains(families, "clip") {
				config.ModelFamilies = append(config.ModelFamilies, "clip")
			}
			maps.Copy(m.Annotations, provenance(f))
		}
		kinds[layer.MediaType] = append(kinds[layer.MediaType], layer)
	}
	if len(kinds[MediaProjector]) > 1 {
		return fmt.Errorf("store: %w: there are %d projectors; give one", ErrUnsupported,
			len(kinds[MediaProjector]))
	}
	for _, kind := range []string{MediaModel, MediaProjector} {
		if len(kinds[kind]) > 0 {
			m.Layers = slices.DeleteFunc(m.Layers, func(d Descriptor) bool {
				return d.MediaType == kind
			})
			m.Layers = append(m.Layers, kinds[kind]...)
		}
	}
	if len(m.of(MediaModel)) == 0 {
		return fmt.Errorf("store: %w: none of the files is a language model", ErrUnsupported)
	}
	if len(m.of(MediaProjector)) > 0 && !slices.Contains(config.ModelFamilies, "clip") {
		config.ModelFamilies = append(config.ModelFamilies, "clip")
	}
	return nil
}

// composeFile reads the header of a blob, and makes a layer of what it is.
func (t *Session) composeFile(d Digest) (Descriptor, *gguf.File, error) {
	blob, err := t.s.OpenBlob(d)
	if err != nil {
		return Descriptor{}, nil, err
	}
	defer blob.Close()
	info, err := blob.Stat()
	if err != nil {
		return Descriptor{}, nil, fmt.Errorf("store: %w", err)
	}
	// a part of a split model alone; what is used of it is in memory
	f, err := gguf.Read(blob, info.Size(), string(d))
	if err != nil {
		return Descriptor{}, nil, err
	}
	layer := Descriptor{MediaType: MediaModel, Digest: d, Size: info.Size()}
	if f.Architecture() == "clip" {
		layer.MediaType = MediaProjector
	}
	return layer, f, nil
}

// composeText adds a layer of text, in the place of those of its kind or behind them. An empty text
// takes them away.
func (t *Session) composeText(ctx context.Context, m *Manifest, mediaType string, data []byte,
	replace bool) error {
	if len(data) > maxSmallBlob {
		return fmt.Errorf("store: %w: a text of %d bytes", ErrUnsupported, len(data))
	}
	if replace {
		m.Layers = slices.DeleteFunc(m.Layers, func(d Descriptor) bool {
			return d.MediaType == mediaType
		})
	}
	if len(data) == 0 {
		return nil
	}
	d, err := t.AddBytes(ctx, data, mediaType)
	if err != nil {
		return err
	}
	if !replace && slices.ContainsFunc(m.Layers, func(l Descriptor) bool {
		return l.MediaType == mediaType && l.Digest == d.Digest
	}) {
		return nil
	}
	m.Layers = append(m.Layers, d)
	return nil
}
