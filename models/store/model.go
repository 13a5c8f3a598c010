package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/models/internal/smallfile"
)

// Source says where a model lies.
type Source string

// Sources of models.
const (
	SourceStore  Source = "store"
	SourceOllama Source = "ollama" // an Ollama store: only read
)

// Model is a name and what it stands for.
type Model struct {
	Name     Name
	Digest   Digest // of the manifest
	Source   Source
	Manifest *Manifest // nil if Err is set
	Modified time.Time // when the name was given
	Err      error     // why the manifest cannot be used, or nil

	raw  []byte
	root string // the store that has it
}

// Raw returns the bytes of the manifest, whose SHA-256 is Digest. They must not be changed.
func (m *Model) Raw() []byte { return m.raw }

// BlobPath returns the file of one of the model's blobs.
func (m *Model) BlobPath(d Descriptor) (string, error) {
	path := filepath.Join(m.root, "blobs", d.Digest.FileName())
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("store: %s: %w: %s", m.Name, ErrMissing, d.Digest)
	case err != nil:
		return "", fmt.Errorf("store: %w", err)
	case !info.Mode().IsRegular() || info.Size() != d.Size:
		return "", fmt.Errorf("store: %s: %w: %s has %d bytes, %d were promised", m.Name, ErrDigest,
			path, info.Size(), d.Size)
	}
	return path, nil
}

// OpenBlob opens one of the model's blobs for reading.
func (m *Model) OpenBlob(d Descriptor) (*os.File, error) {
	path, err := m.BlobPath(d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return f, nil
}

// Complete reports which of the model's blobs are not there or have another size.
func (m *Model) Complete() error {
	if m.Err != nil {
		return m.Err
	}
	for _, d := range m.Manifest.Blobs() {
		if _, err := m.BlobPath(d); err != nil {
			return err
		}
	}
	return nil
}

// text returns the contents of a small blob.
func (m *Model) text(d Descriptor) ([]byte, error) {
	path, err := m.BlobPath(d)
	if err != nil {
		return nil, err
	}
	data, err := readSmall(path, d)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, m.Name)
	}
	return data, nil
}

// readModel reads the manifest at path. What is wrong with it is in Err.
func readModel(path string, name Name, source Source, root string) Model {
	m := Model{Name: name, Source: source, root: root}
	info, err := os.Stat(path)
	if err == nil {
		m.Modified = info.ModTime()
		m.raw, err = smallfile.Read(path, MaxManifest)
	}
	switch {
	case errors.Is(err, smallfile.ErrNotRegular), errors.Is(err, smallfile.ErrLarge):
		m.Err = fmt.Errorf("store: %w: %s: %w", ErrManifest, path, err)
		return m
	case err != nil:
		m.Err = fmt.Errorf("store: %w", err)
		return m
	}
	m.Digest = DigestOf(m.raw)
	if m.Manifest, err = ParseManifest(m.raw); err != nil {
		m.Err = fmt.Errorf("%w (%s)", err, path)
	}
	return m
}

// own returns the models of the store itself, Ollama's left out, in the order of their names. Files
// that are named like no manifest are passed over.
func (s *Store) own() ([]Model, error) {
	entries, err := s.entries("manifests")
	if err != nil {
		return nil, err
	}
	var models []Model
	for _, e := range entries {
		name, err := nameOfFile(e.Name())
		if err != nil {
			continue
		}
		m := readModel(filepath.Join(s.dir("manifests"), e.Name()), name, SourceStore, s.root)
		if errors.Is(m.Err, fs.ErrNotExist) {
			continue // removed since
		}
		models = append(models, m)
	}
	return models, nil
}

// strays returns the manifests whose files are named like no manifest, as when somebody renamed one
// or another version of the program knew more names. Nobody can ask for them; but what they refer
// to must not be lost.
func (s *Store) strays() ([]Model, error) {
	entries, err := os.ReadDir(s.dir("manifests"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	var models []Model
	for _, e := range entries {
		if _, err := nameOfFile(e.Name()); err == nil {
			continue
		}
		m := readModel(filepath.Join(s.dir("manifests"), e.Name()), Name{Path: e.Name()},
			SourceStore, s.root)
		if m.Err == nil {
			models = append(models, m)
		}
	}
	return models, nil
}

// List returns all models in the order of their names: those of the store, then those of Ollama's
// whose names the store does not have. A manifest that cannot be used is listed with its error.
func (s *Store) List() ([]Model, error) {
	models, err := s.own()
	if err != nil {
		return nil, err
	}
	taken := map[Name]bool{}
	for _, m := range models {
		taken[m.Name] = true
	}
	for _, root := range s.ollama {
		for _, m := range listOllama(root) {
			if !taken[m.Name] {
				taken[m.Name] = true
				models = append(models, m)
			}
		}
	}
	slices.SortStableFunc(models, func(a, b Model) int {
		return cmp.Or(strings.Compare(string(b.Source), string(a.Source)),
			strings.Compare(a.Name.String(), b.Name.String()))
	})
	return models, nil
}

// Find returns the model that ref means: a name, whose tag is "latest" if there is none; or
// "sha256:" and the digest of a manifest or of a model file, or at least 8 of its digits. The
// store's own models come before Ollama's. Errors wrap ErrName or ErrNotFound.
func (s *Store) Find(ref string) (*Model, error) {
	prefix, isDigest := digestQuery(ref)
	if isDigest {
		return s.findDigest(ref, prefix)
	}
	name, err := ParseName(ref)
	if err != nil {
		return nil, err
	}
	m := readModel(s.manifestPath(name), name, SourceStore, s.root)
	if m.Err == nil {
		return &m, nil
	}
	if !errors.Is(m.Err, fs.ErrNotExist) {
		return nil, m.Err
	}
	for _, root := range s.ollama {
		for _, m := range listOllama(root) {
			if m.Name == name {
				return &m, m.Err
			}
		}
	}
	return nil, fmt.Errorf("store: %w: %s", ErrNotFound, ref)
}

func (s *Store) findDigest(ref, prefix string) (*Model, error) {
	models, err := s.List()
	if err != nil {
		return nil, err
	}
	var found *Model
	for _, m := range models {
		if m.Err != nil || !m.answersTo(prefix) {
			continue
		}
		if found != nil && found.Digest != m.Digest {
			return nil, fmt.Errorf("store: %w: %s is the beginning of several digests (%s, %s)",
				ErrNotFound, ref, found.Name, m.Name)
		}
		if found == nil {
			found = &m
		}
	}
	if found == nil {
		return nil, fmt.Errorf("store: %w: %s", ErrNotFound, ref)
	}
	return found, nil
}

// answersTo reports whether a digest with this beginning means the model.
func (m *Model) answersTo(prefix string) bool {
	if strings.HasPrefix(m.Digest.Hex(), prefix) {
		return true
	}
	files := append(m.Manifest.of(MediaModel), m.Manifest.of(MediaDiffusion)...)
	return slices.ContainsFunc(files, func(d Descriptor) bool {
		return strings.HasPrefix(d.Digest.Hex(), prefix)
	})
}

// Config returns what the manifest's configuration says of the model. It describes and decides
// nothing; what cannot be read is an error that callers may pass over.
func (m *Model) Config() (c Config, err error) {
	if m.Err != nil {
		return c, m.Err
	}
	data, err := m.text(m.Manifest.Config)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return Config{}, fmt.Errorf("store: %s: %w: configuration: %w", m.Name, ErrManifest, err)
	}
	return c, nil
}

// Kind says what a model is for.
type Kind string

// Kinds of models.
const (
	KindText   Kind = "text"   // answers questions
	KindVision Kind = "vision" // answers questions about pictures too
	KindDraw   Kind = "draw"   // draws pictures
)

// Kind says what the model is for; KindText where the manifest cannot be used.
func (m *Model) Kind() Kind {
	switch {
	case m.Vision():
		return KindVision
	case m.Err == nil && m.Manifest != nil && len(m.Manifest.of(MediaDiffusion)) > 0:
		return KindDraw
	}
	return KindText
}

// Vision reports whether the model has a projector.
func (m *Model) Vision() bool {
	return m.Err == nil && m.Manifest != nil && len(m.Manifest.of(MediaProjector)) > 0
}
