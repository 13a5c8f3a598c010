package store

import (
	"encoding/json"
	"fmt"

	"github.com/eyelet-engine/eyelet/models/diffusion"
)

// Media types of layers, which are Ollama's: what a blob is to the model.
const (
	// GGUF file of the language model, or a part of it
	MediaModel = "application/vnd.ollama.image.model"
	// GGUF file of vision tower and projector
	MediaProjector = "application/vnd.ollama.image.projector"
	// LoRA, which the engine does not load from here yet
	MediaAdapter = "application/vnd.ollama.image.adapter"
	// Ollama's prompt template, in the language of Go's text/template
	MediaTemplate = "application/vnd.ollama.image.template"
	MediaSystem   = "application/vnd.ollama.image.system" // system prompt
	// JSON object of sampling parameters; see [Params]
	MediaParams = "application/vnd.ollama.image.params"
	// JSON array of turns that open a conversation
	MediaMessages = "application/vnd.ollama.image.messages"
	MediaLicense  = "application/vnd.ollama.image.license" // text of a licence
)

// MediaDiffusion is the media type of a model that draws pictures: a file, safetensors or GGUF,
// that holds its diffusion model and mostly all its parts. Parts in files of their own have its
// name, a dot and theirs, as in "….diffusion.vae". Ollama has no such layers, and does not take the
// model for one that answers questions.
const MediaDiffusion = "application/vnd.eyelet.image.diffusion"

// Media types of manifests and of the configuration that belongs to one.
const (
	MediaManifest = "application/vnd.oci.image.manifest.v1+json"
	// what Ollama writes
	MediaManifestDocker = "application/vnd.docker.distribution.manifest.v2+json"
	// [Config], as Ollama names it
	MediaConfig = "application/vnd.docker.container.image.v1+json"
)

// Annotations that [Store.Import] makes of what a GGUF file says of itself; the first four are
// those of the OCI specification.
const (
	// of a model: its name; of a layer: its file's name
	AnnotationTitle        = "org.opencontainers.image.title"
	AnnotationLicenses     = "org.opencontainers.image.licenses"
	AnnotationAuthors      = "org.opencontainers.image.authors"
	AnnotationSource       = "org.opencontainers.image.source"
	AnnotationVendor       = "org.opencontainers.image.vendor"
	AnnotationLicenseLink  = "org.eyelet.license.link"
	AnnotationBaseModels   = "org.eyelet.base.models" // names or addresses, separated by spaces
	AnnotationQuantizedBy  = "org.eyelet.quantized.by"
	AnnotationImportedFrom = "org.eyelet.imported.from"
)

// Limits of a manifest.
const (
	MaxManifest   = 1 << 20 // bytes
	maxLayers     = 2048
	maxSmallBlob  = 4 << 20 // of texts and JSON that are read into memory
	maxTotalBytes = 1 << 56
)

// Descriptor refers to a blob.
type Descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      Digest            `json:"digest"`
	Size        int64             `json:"size"` // bytes
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Manifest says of which blobs a model consists: an OCI image manifest.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"` // 2
	MediaType     string            `json:"mediaType,omitempty"`
	Config        Descriptor        `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Config is what the manifest's config blob says, in Ollama's words. Its fields describe and decide
// nothing.
type Config struct {
	// "gguf", or "safetensors" of a model that draws
	ModelFormat string `json:"model_format"`
	// general.architecture; of a model that draws, as "sd1" or "flux"
	ModelFamily string `json:"model_family"`
	// with "clip" where there is a projector
	ModelFamilies []string `json:"model_families,omitempty"`
	ModelType     string   `json:"model_type"` // count of parameters, as "7.2B"
	FileType      string   `json:"file_type"`  // quantization, as "Q4_K_M"
	// of a computer, which container registries want
	Architecture string `json:"architecture,omitempty"`
	OS           string `json:"os,omitempty"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// ParseManifest reads a manifest and checks it: known version, digests and sizes that can be, at
// least one file of a language model or one of a model that draws. Errors wrap ErrManifest.
func ParseManifest(data []byte) (*Manifest, error) {
	if len(data) > MaxManifest {
		return nil, fmt.Errorf("store: %w: %d bytes, more than %d", ErrManifest, len(data),
			MaxManifest)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("store: %w: %w", ErrManifest, err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("store: %w: %w", ErrManifest, err)
	}
	return &m, nil
}

// check holds a manifest to what the rest of the package relies on.
func (m *Manifest) check() error {
	switch {
	case m.SchemaVersion != 2:
		return fmt.Errorf("schema version %d, known is 2", m.SchemaVersion)
	case m.MediaType != "" && m.MediaType != MediaManifest && m.MediaType != MediaManifestDocker:
		return fmt.Errorf("media type %.100q", m.MediaType)
	case len(m.Layers) > maxLayers:
		return fmt.Errorf("%d layers, more than %d", len(m.Layers), maxLayers)
	}
	var total int64
	sizes := map[Digest]int64{}
	for i, d := range append([]Descriptor{m.Config}, m.Layers...) {
		if !d.Digest.valid() {
			return fmt.Errorf("blob %d has the digest %.100q", i, d.Digest)
		}
		if d.Size < 0 || d.Size > maxTotalBytes-total {
			return fmt.Errorf("blob %d has a size of %d bytes", i, d.Size)
		}
		if n, seen := sizes[d.Digest]; seen && n != d.Size {
			return fmt.Errorf("blob %s has two sizes, %d and %d", d.Digest.Short(), n, d.Size)
		}
		sizes[d.Digest] = d.Size
		total += d.Size
		if isText(d.MediaType) && d.Size > maxSmallBlob {
			return fmt.Errorf("a blob of type %q has %d bytes, more than %d", d.MediaType, d.Size,
				maxSmallBlob)
		}
	}
	switch drawing := len(m.of(MediaDiffusion)); {
	case drawing == 0 && len(m.of(MediaModel)) == 0:
		return fmt.Errorf("no layer of type %q", MediaModel)
	case drawing > 1 || drawing == 1 && len(m.of(MediaModel))+len(m.of(MediaProjector)) > 0:
		return fmt.Errorf("a layer of type %q beside others of a model", MediaDiffusion)
	}
	for _, part := range diffusion.AllParts {
		switch n := len(m.of(mediaOfPart(part))); {
		case n > 1:
			return fmt.Errorf("%d layers of type %q", n, mediaOfPart(part))
		case n > 0 && len(m.of(MediaDiffusion)) == 0:
			return fmt.Errorf("a layer of type %q without the model that it belongs to",
				mediaOfPart(part))
		}
	}
	return nil
}

// isText reports whether blobs of a type are read into memory whole.
func isText(mediaType string) bool {
	switch mediaType {
	case MediaConfig, MediaTemplate, MediaSystem, MediaParams, MediaMessages, MediaLicense:
		return true
	}
	return false
}

// of returns the layers of a type.
func (m *Manifest) of(mediaType string) (layers []Descriptor) {
	for _, d := range m.Layers {
		if d.MediaType == mediaType {
			layers = append(layers, d)
		}
	}
	return layers
}

// Blobs returns all that the manifest refers to, each once, the configuration first.
func (m *Manifest) Blobs() []Descriptor {
	var all []Descriptor
	seen := map[Digest]bool{}
	for _, d := range append([]Descriptor{m.Config}, m.Layers...) {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			all = append(all, d)
		}
	}
	return all
}

// Size returns the bytes of all blobs.
func (m *Manifest) Size() (total int64) {
	for _, d := range m.Blobs() {
		total += d.Size
	}
	return total
}

// encode writes the manifest as it is stored. The same manifest always gives the same bytes, and so
// the same digest.
func (m *Manifest) encode() ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return data, nil
}
