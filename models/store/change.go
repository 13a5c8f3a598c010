package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// Create gives a name to a manifest whose blobs are all in the store. The manifest's bytes, raw,
// are stored unchanged, so that its digest stays the same. If the name stands for another model, it
// is replaced with replace; else the error is ErrExists. Creating the same manifest again changes
// nothing.
func (t *Session) Create(name Name, raw []byte, replace bool) (*Model, error) {
	if _, err := ParseName(name.String()); err != nil {
		return nil, err
	}
	if reserved(name) {
		return nil, fmt.Errorf("store: %w: %s is the model inside the program; choose another name",
			ErrExists, name)
	}
	manifest, err := ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Blobs() {
		if !t.s.hasBlob(d.Digest, d.Size) {
			return nil, fmt.Errorf("store: %s: %w: %s of %d bytes", name, ErrMissing, d.Digest,
				d.Size)
		}
	}
	path := t.s.manifestPath(name)
	old := readModel(path, name, SourceStore, t.s.root)
	if old.Err == nil && !replace && old.Digest != DigestOf(raw) {
		return nil, fmt.Errorf("store: %w: %s is %s", ErrExists, name, old.Digest.Short())
	}
	if errors.Is(old.Err, fs.ErrNotExist) {
		if err := t.s.refuseTwin(name); err != nil {
			return nil, err
		}
	}
	err = t.s.writeManifest(path, raw, replace || !errors.Is(old.Err, fs.ErrNotExist))
	if errors.Is(err, fs.ErrExist) {
		// Another process gave the name since we looked.
		if old := readModel(path, name, SourceStore, t.s.root); old.Err != nil ||
			old.Digest != DigestOf(raw) {
			return nil, fmt.Errorf(
				"store: %w: another process has given %s to another model meanwhile", ErrExists,
				name)
		}
	} else if err != nil {
		return nil, fmt.Errorf("store: the manifest of %s: %w", name, err)
	}
	// Not read back: another process may take the name away at once.
	return &Model{Name: name, Digest: DigestOf(raw), Source: SourceStore, Manifest: manifest,
		Modified: time.Now(), raw: raw, root: t.s.root}, nil
}

// reserved names are those of the built-in model, which need no file.
func reserved(name Name) bool { return name.Path == "builtin" }

// refuseTwin refuses a name that differs from another one in upper and lower case alone: on many
// disks that models are carried on, both would be one file.
func (s *Store) refuseTwin(name Name) error {
	entries, err := os.ReadDir(s.dir("manifests"))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, e := range entries {
		if other := e.Name(); other != name.FileName() && strings.EqualFold(other,
			name.FileName()) {
			return fmt.Errorf("store: %w: %s differs from the file %s in upper and lower case alone", ErrExists, name, other)
		}
	}
	return nil
}

// writeManifest writes a manifest to path, whole or not at all. Without replace, an existing file
// is the error fs.ErrExist; where the file system lacks hard links, it is replaced all the same.
func (s *Store) writeManifest(path string, raw []byte, replace bool) (err error) {
	temp := s.tempName()
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(temp)
		}
	}()
	if _, err := f.Write(raw); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := place(temp, path, replace); err != nil {
		return err
	}
	return atomicfile.SyncFolder(s.dir("manifests"))
}

// place gives a complete file its name. With replace it may replace another.
func place(temp, path string, replace bool) error {
	if !replace {
		err := os.Link(temp, path)
		if err == nil {
			_ = os.Remove(temp) // the name is given; what is left of the other, GC removes
			return nil
		}
		if errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return os.Rename(temp, path)
}

// Copy gives a model another name. Files are copied only if the model is Ollama's, for the store to
// have its own.
func (s *Store) Copy(ctx context.Context, ref string, to Name, replace bool) (*Model, error) {
	m, err := s.Find(ref)
	if err != nil {
		return nil, err
	}
	if m.Source != SourceStore {
		if err := s.AllowUnsigned("Ollama's models"); err != nil {
			return nil, err
		}
	}
	return s.inSession(ctx, func(t *Session) (*Model, error) {
		return t.Adopt(ctx, m, to, replace, nil)
	})
}

// inSession runs f, which adds a model, in a session of its own. If f fails, nothing is left of the
// model.
func (s *Store) inSession(ctx context.Context, f func(*Session) (*Model, error)) (*Model, error) {
	t, err := s.Begin(ctx)
	if err != nil {
		return nil, err
	}
	made, err := f(t)
	if err != nil {
		return nil, errors.Join(err, t.Discard())
	}
	return made, t.Close()
}

// Adopt copies the blobs that the store lacks of a model from any store, and gives the model a
// name. It does not check the policy. progress may be nil.
func (t *Session) Adopt(ctx context.Context, m *Model, to Name, replace bool,
	progress func(int64)) (*Model, error) {
	if m.Err != nil {
		return nil, m.Err
	}
	if err := t.adoptBlobs(ctx, m, progress); err != nil {
		return nil, err
	}
	return t.Create(to, m.raw, replace)
}

// adoptBlobs copies the blobs of a model that the store lacks.
func (t *Session) adoptBlobs(ctx context.Context, m *Model, progress func(int64)) error {
	if err := t.Room(m.Manifest.Blobs()); err != nil {
		return err
	}
	for _, d := range m.Manifest.Blobs() {
		if t.s.hasBlob(d.Digest, d.Size) {
			continue
		}
		path, err := m.BlobPath(d)
		if err != nil {
			return err
		}
		if err := t.Receive(ctx, d, fromFile(path), progress); err != nil {
			return fmt.Errorf("%w (copying %s)", err, path)
		}
	}
	return nil
}

// Removed says what a removal did.
type Removed struct {
	Blobs int
	Bytes int64
	// Deferred: files stay until a garbage collection, since other processes are adding models.
	Deferred bool
}

// Delete removes a name, and the files that no other name needs. Ollama's models are never removed.
func (s *Store) Delete(name Name) (Removed, error) {
	m := readModel(s.manifestPath(name), name, SourceStore, s.root)
	if errors.Is(m.Err, fs.ErrNotExist) {
		// What is the store's own here was given the name since we looked.
		if found, err := s.Find(name.String()); err == nil && found.Source != SourceStore {
			return Removed{}, fmt.Errorf(
				"store: %w: %s is Ollama's, in %s, where nothing is changed", ErrUnsupported, name,
				found.root)
		}
		return Removed{}, fmt.Errorf("store: %w: %s", ErrNotFound, name)
	}
	if err := os.Remove(s.manifestPath(name)); err != nil {
		return Removed{}, fmt.Errorf("store: %w", err)
	}
	if err := atomicfile.SyncFolder(s.dir("manifests")); err != nil {
		return Removed{}, fmt.Errorf("store: %w", err)
	}
	if m.Manifest == nil {
		return Removed{}, nil // a damaged one, which referred to nothing that can be known
	}
	l, err := s.exclusive()
	if errors.Is(err, ErrBusy) {
		return Removed{Deferred: true}, nil
	}
	if err != nil {
		return Removed{}, err
	}
	defer l.Close()
	var candidates []Digest
	for _, d := range m.Manifest.Blobs() {
		candidates = append(candidates, d.Digest)
	}
	return s.collect(candidates)
}

// ImportOllama copies a model of an Ollama store, which stays as it is.
func (s *Store) ImportOllama(ctx context.Context, ref string, to Name, replace bool,
	progress func(n int64)) (*Model, error) {
	if err := s.AllowUnsigned("Ollama's models"); err != nil {
		return nil, err
	}
	name, err := ParseName(ref)
	if err != nil {
		return nil, err
	}
	for _, root := range s.ollama {
		for _, m := range listOllama(root) {
			if m.Name != name {
				continue
			}
			return s.inSession(ctx, func(t *Session) (*Model, error) {
				return t.Adopt(ctx, &m, to, replace, progress)
			})
		}
	}
	return nil, fmt.Errorf("store: %w: Ollama has no %s", ErrNotFound, ref)
}
