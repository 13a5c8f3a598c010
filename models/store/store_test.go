package store

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestModelsShareFiles(t *testing.T) {
	s := newStore(t)
	files := pair(t, "a")
	first := mustImport(t, s, "a", files)
	again := mustImport(t, s, "a", files) // no change
	if first.Digest != again.Digest {
		t.Errorf("the same files give two manifests, %s and %s", first.Digest, again.Digest)
	}
	copied, err := s.Copy(t.Context(), "a", mustName(t, "team/b:q4"), false)
	if err != nil || copied.Digest != first.Digest {
		t.Fatalf("%+v, %v", copied, err)
	}
	r := mustBeWhole(t, s)
	if r.Models != 2 || r.Blobs != 3 { // model, projector, configuration
		t.Errorf("%+v", r)
	}
	for _, ref := range []string{"a", "a:latest", "team/b:q4", string(first.Digest),
		"sha256:" + first.Digest.Hex()[:8], string(first.Manifest.Layers[0].Digest)} {
		m, err := s.Resolve(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		for got, want := range map[string]string{m.Path: files.Model,
			m.Projector: files.Projector} {
			if a, b := readFile(t, got), readFile(t, want); a != b {
				t.Errorf("%s: %s has other bytes than %s", ref, got, want)
			}
		}
	}
	if removed, err := s.Delete(mustName(t, "a")); err != nil || removed.Blobs != 0 {
		t.Errorf("taking the first name away removed %+v, %v", removed, err)
	}
	if removed, err := s.Delete(mustName(t, "team/b:q4")); err != nil || removed.Blobs != 3 ||
		removed.Deferred {
		t.Errorf("taking the last name away removed %+v, %v", removed, err)
	}
	if left := tree(t, s.dir("blobs")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := s.Resolve("a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestNamesAreNotTakenOverByAccident(t *testing.T) {
	s := newStore(t)
	mustImport(t, s, "a", pair(t, "first"))
	before := tree(t, s.root)
	if _, err := s.Import(t.Context(), mustName(t, "a"), pair(t, "second"), false,
		nil); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
	if after := tree(t, s.root); !maps.Equal(before, after) {
		t.Errorf("something was left: %v", after)
	}
	second, err := s.Import(t.Context(), mustName(t, "a"), pair(t, "second"), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.Find("a"); err != nil || m.Digest != second.Digest {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := s.Import(t.Context(), mustName(t, "builtin"), pair(t, "x"), true,
		nil); !errors.Is(err, ErrExists) {
		t.Errorf("the built-in model's name: %v", err)
	}
	// the first model and its configuration; the projector is the same
	if removed, err := s.GC(0); err != nil || removed.Blobs != 2 {
		t.Errorf("%+v, %v", removed, err)
	}
	mustBeWhole(t, s)
}

func TestWhatIsNoModelIsNotImported(t *testing.T) {
	s := newStore(t)
	good := pair(t, "a")
	text := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(text, []byte("words"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]Files{
		"a projector as the model": {Model: good.Projector},
		"a model as the projector": {Model: good.Model, Projector: good.Model},
		"a text":                   {Model: text},
		"a missing file":           {Model: text + "x"},
		"a missing projector":      {Model: good.Model, Projector: text + "x"},
		"a missing licence":        {Model: good.Model, Licenses: []string{text + "x"}},
	} {
		if _, err := s.Import(t.Context(), mustName(t, "a"), files, false, nil); err == nil {
			t.Errorf("%s is taken", name)
		}
		if left := tree(t, s.dir("blobs")); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func TestGarbageCollectionSparesWhatAnImportNeeds(t *testing.T) {
	s := newStore(t)
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := pair(t, "a")
	d, err := session.AddFile(t.Context(), files.Model, MediaModel, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GC(0); !errors.Is(err, ErrBusy) {
		t.Errorf("during an import: %v", err)
	}
	if _, err := s.Repair(t.Context(), CheckOptions{}); !errors.Is(err, ErrBusy) {
		t.Errorf("repair during an import: %v", err)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.GC(time.Hour); err != nil || removed.Blobs != 0 || !s.HasBlob(d.Digest) {
		t.Errorf("what is young was removed: %+v, %v", removed, err)
	}
	if removed, err := s.GC(0); err != nil || removed.Blobs != 1 || s.HasBlob(d.Digest) {
		t.Errorf("%+v, %v", removed, err)
	}
}

func TestImportsRemovalsAndCollectionsAtOnceLeaveAWholeStore(t *testing.T) {
	s := newStore(t)
	all := []Files{pair(t, "a"), pair(t, "b"), pair(t, "c")}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			name := Name{Path: string(rune('a' + i%3)), Tag: "latest"}
			for range 10 {
				if _, err := s.Import(t.Context(), name, all[i%3], true, nil); err != nil {
					t.Error(err)
				}
				if _, err := s.Delete(name); err != nil && !errors.Is(err, ErrNotFound) &&
					!errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				if _, err := s.GC(0); err != nil && !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustBeWhole(t, s)
	if _, err := s.GC(0); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, s.dir("blobs")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRepairRemovesWhatIsDamaged(t *testing.T) {
	damage := map[string]func(s *Store, m *Model) error{
		"a byte of a blob": func(s *Store, m *Model) error {
			f, err := os.OpenFile(s.blobPath(m.Manifest.Layers[0].Digest), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte{'X'}, 0)
			return err
		},
		"a blob cut": func(s *Store, m *Model) error {
			return os.Truncate(s.blobPath(m.Manifest.Layers[1].Digest), 3)
		},
		"a blob removed": func(s *Store, m *Model) error {
			return os.Remove(s.blobPath(m.Manifest.Config.Digest))
		},
		"a manifest cut": func(s *Store, m *Model) error {
			return os.Truncate(s.manifestPath(m.Name), 10)
		},
		"a blob that is a folder": func(s *Store, m *Model) error {
			path := s.blobPath(m.Manifest.Layers[0].Digest)
			return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o777))
		},
		"a blob that is a link": func(s *Store, m *Model) error {
			path := s.blobPath(m.Manifest.Layers[0].Digest)
			return errors.Join(os.Remove(path), os.Symlink("/etc/hostname", path))
		},
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			files := pair(t, "a")
			m := mustImport(t, s, "a", files)
			other := mustImport(t, s, "b", Files{Model: pair(t, "other").Model})
			if err := spoil(s, m); err != nil {
				t.Fatal(err)
			}
			r, err := s.Check(t.Context(), CheckOptions{})
			if err != nil || len(r.Problems) != 1 || !slices.Equal(r.Problems[0].Names,
				[]Name{m.Name}) {
				t.Fatalf("%+v, %v", r, err)
			}
			if r, err = s.Repair(t.Context(), CheckOptions{}); err != nil || len(r.Problems) != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			if r := mustBeWhole(t, s); r.Models != 1 {
				t.Errorf("%+v", r)
			}
			if _, err := s.Resolve(string(other.Digest)); err != nil {
				t.Error(err)
			}
			mustImport(t, s, "a", files)
			mustBeWhole(t, s)
		})
	}
}

func TestAnImportIsStoppedByItsContext(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Import(ctx, mustName(t, "a"), pair(t, "a"), false, nil); !errors.Is(err,
		context.Canceled) {
		t.Errorf("%v", err)
	}
	mustBeWhole(t, s)
}

func TestAStoreThatIsNotThereIsEmpty(t *testing.T) {
	s := newStore(t)
	if models, err := s.List(); err != nil || len(models) > 0 {
		t.Errorf("%v, %v", models, err)
	}
	if _, err := s.GC(0); err != nil {
		t.Error(err)
	}
	mustBeWhole(t, s)
	if _, err := s.Repair(t.Context(), CheckOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking made the folder: %v", err)
	}
}
