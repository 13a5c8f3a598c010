package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/diffusion"
)

// Resolved is a model ready to be opened, and what its manifest says beside the files.
type Resolved struct {
	Model
	// GGUF file of the language model; the first part of a split one; of KindDraw, the file that
	// draws
	Path      string
	Projector string          // GGUF file of vision tower and projector, "" for a text model
	Parts     diffusion.Parts // of KindDraw: parts that are not in the file at Path

	// Ollama's template, in the language of text/template, or one in Jinja; "" for the model's own
	Template string
	System   string // system prompt
	Params   Params
	Messages []byte // JSON of turns that open a conversation, or nil
	Licenses []string
}

// Resolve finds a model as [Store.Find] does, and its files. Files are looked at for their size
// alone; [Store.Check] reads them.
func (s *Store) Resolve(ref string) (*Resolved, error) {
	m, err := s.Find(ref)
	if err != nil {
		return nil, err
	}
	return s.OpenModel(m)
}

// OpenModel finds the files of a model.
func (s *Store) OpenModel(m *Model) (*Resolved, error) {
	if m.Err != nil {
		return nil, m.Err
	}
	if len(m.Manifest.of(MediaAdapter)) > 0 {
		return nil, fmt.Errorf("store: %s: %w: it has a LoRA adapter", m.Name, ErrUnsupported)
	}
	r := &Resolved{Model: *m}
	var err error
	if r.Path, err = s.modelPath(m); err != nil {
		return nil, err
	}
	if r.Parts, err = m.partsOf(); err != nil {
		return nil, err
	}
	projectors := m.Manifest.of(MediaProjector)
	if len(projectors) > 1 {
		return nil, fmt.Errorf("store: %s: %w: it has %d projectors", m.Name, ErrUnsupported,
			len(projectors))
	}
	if len(projectors) == 1 {
		if r.Projector, err = m.BlobPath(projectors[0]); err != nil {
			return nil, err
		}
	}
	return r, r.readTexts()
}

func (r *Resolved) readTexts() error {
	for _, d := range r.Manifest.Layers {
		if !isText(d.MediaType) {
			continue
		}
		data, err := r.text(d)
		if err != nil {
			return err
		}
		if !utf8.Valid(data) {
			return fmt.Errorf("store: %s: %w: the blob %s is not text", r.Name, ErrManifest,
				d.Digest.Short())
		}
		switch d.MediaType {
		case MediaTemplate:
			r.Template = string(data)
		case MediaSystem:
			r.System = string(data)
		case MediaMessages:
			r.Messages = data
		case MediaLicense:
			r.Licenses = append(r.Licenses, string(data))
		case MediaParams:
			if r.Params, err = ParseParams(data); err != nil {
				return fmt.Errorf("%w (%s)", err, r.Name)
			}
		}
	}
	return nil
}

// modelPath returns the file to open. The parts of a split model must have names that belong
// together, so links with such names point to their blobs.
func (s *Store) modelPath(m *Model) (string, error) {
	if drawing := m.Manifest.of(MediaDiffusion); len(drawing) > 0 {
		return m.BlobPath(drawing[0])
	}
	layers := m.Manifest.of(MediaModel)
	paths := make([]string, len(layers))
	for i, d := range layers {
		var err error
		if paths[i], err = m.BlobPath(d); err != nil {
			return "", err
		}
	}
	if len(layers) == 1 {
		return paths[0], nil
	}
	first, err := linkParts(filepath.Join(s.dir("parts"), m.Digest.Hex()), paths)
	if err == nil {
		return first, nil
	}
	// The store may be on a read-only medium or another user's.
	cache, cacheErr := s.cacheDir()
	if cacheErr == nil {
		first, cacheErr = linkParts(filepath.Join(cache, m.Digest.Hex()), paths)
	}
	if cacheErr != nil {
		return "", fmt.Errorf("store: %s: links to the parts of the split model: %w; and outside the store: %w; set EYELET_CACHE to a folder that can be written", m.Name, err, cacheErr)
	}
	return first, nil
}

// linkParts makes links to the parts of a split model in a folder, and returns the first.
func linkParts(dir string, paths []string) (first string, err error) {
	for i, path := range paths {
		if err := linkTo(path, partPath(dir, i, len(paths))); err != nil {
			return "", err
		}
	}
	return partPath(dir, 0, len(paths)), nil
}

// cacheDir returns the folder for what this store would keep in itself if it could be written.
func (s *Store) cacheDir() (string, error) {
	dir, err := builtin.CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "parts", DigestOf([]byte(s.root)).Short()), nil
}

func partPath(dir string, i, n int) string {
	return filepath.Join(dir, fmt.Sprintf("model-%05d-of-%05d.gguf", i+1, n))
}

// linkTo makes a symbolic link unless it is there.
func linkTo(target, link string) error {
	if have, err := os.Readlink(link); err == nil && have == target {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
		return err
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := os.Symlink(target, link)
	if have, readErr := os.Readlink(link); readErr == nil && have == target {
		return nil // made by another process meanwhile
	}
	return err
}

// Describe returns what the manifest says of the model's origin, for people: its annotations
// without those of this package's own use.
func (m *Manifest) Describe() map[string]string {
	d := map[string]string{}
	for key, value := range m.Annotations {
		if i := strings.LastIndexByte(key, '.'); i >= 0 && value != "" {
			d[strings.TrimPrefix(strings.TrimPrefix(key, "org.opencontainers.image."),
				"org.eyelet.")] = value
		}
	}
	return d
}
