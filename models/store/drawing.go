package store

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/models/diffusion"
)

// mediaOfPart is the media type of a part of a model that draws, in a file beside the one of
// MediaDiffusion.
func mediaOfPart(part diffusion.Part) string { return MediaDiffusion + "." + string(part) }

// partsOf finds the files of the parts of a model that draws.
func (m *Model) partsOf() (diffusion.Parts, error) {
	var parts diffusion.Parts
	for _, part := range diffusion.AllParts {
		layers := m.Manifest.of(mediaOfPart(part))
		if len(layers) == 0 {
			continue
		}
		path, err := m.BlobPath(layers[0])
		if err != nil {
			return nil, err
		}
		if parts == nil {
			parts = diffusion.Parts{}
		}
		parts[part] = path
	}
	return parts, nil
}

// importDrawing copies the files of a model that draws into the store.
func (t *Session) importDrawing(ctx context.Context, name Name, file *diffusion.File, files Files,
	replace bool, progress func(int64)) (*Model, error) {
	if files.Projector != "" || files.System != "" {
		return nil, fmt.Errorf(
			"store: %w: %s draws pictures and takes neither a projector nor a system prompt",
			ErrKind, files.Model)
	}
	m := Manifest{SchemaVersion: 2, MediaType: MediaManifest, Annotations: map[string]string{
		AnnotationImportedFrom: cmp.Or(files.From, filepath.Base(files.Model)),
	}}
	if err := t.addLayer(ctx, &m, files.Model, MediaDiffusion, progress); err != nil {
		return nil, err
	}
	for _, part := range files.Parts.List() {
		if err := t.addLayer(ctx, &m, files.Parts[part], mediaOfPart(part), progress); err != nil {
			return nil, err
		}
	}
	if err := t.addLicenses(ctx, &m, files.Licenses); err != nil {
		return nil, err
	}
	return t.createFrom(ctx, name, &m, configOfDrawing(file), replace)
}

// configOfDrawing describes the file of a model that draws in Ollama's words.
func configOfDrawing(f *diffusion.File) *Config {
	return &Config{ModelFormat: f.Format, ModelFamily: f.Family, ModelFamilies: []string{f.Family},
		ModelType: parametersText(f.Parameters),
		FileType:  f.Type, Architecture: "amd64", OS: "linux"}
}
