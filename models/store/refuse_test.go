package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store/storetest"
)

func TestOllamasFolderIsNoStore(t *testing.T) {
	root, _ := ollamaStore(t)
	before := tree(t, root)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(dir, "shared")
	if err := errors.Join(os.Mkdir(shared, 0o777), os.Symlink(filepath.Join(root, "blobs"),
		filepath.Join(shared, "blobs"))); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"by its place": {Root: root, Ollama: root},
		"before Ollama has made it": {Root: filepath.Join(dir, "none"),
			Ollama: filepath.Join(dir, "none")},
		"by its looks":                     {Root: root, NoOllama: true},
		"through a link":                   {Root: link, Ollama: root},
		"a folder that has its blobs":      {Root: shared, Ollama: root},
		"by its place, where it is unseen": {Root: root, Ollama: root, NoOllama: true},
	} {
		if s, err := Open(o); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if after := tree(t, root); !maps.Equal(before, after) {
		t.Errorf("it was changed: %v", after)
	}
}

// What is not damaged stays: files of others, files that cannot be read, and blobs of which a
// manifest is wrong.
func TestRepairLeavesNeighboursAlone(t *testing.T) {
	s := newStore(t)
	mustImport(t, s, "a", pair(t, "a"))
	other := mustImport(t, s, "b", pair(t, "b")) // shares the projector
	note := writeFile(t, s.dir("blobs/notes/list.txt"), "words")
	stray := writeFile(t, s.dir("blobs/sha256-12"), "words")
	m := *other.Manifest
	m.Layers = slices.Clone(m.Layers)
	m.Layers[1].Size++ // of the projector
	wrong := writeFile(t, s.manifestPath(mustName(t, "wrong")), string(encodeManifest(t, &m)))
	for _, quick := range []bool{true, false} {
		r, err := s.Check(t.Context(), CheckOptions{Quick: quick})
		if err != nil || len(r.Problems) != 1 || r.Problems[0].Path != wrong ||
			!slices.Equal(r.Problems[0].Names, []Name{mustName(t, "wrong")}) {
			t.Fatalf("quick %v: %+v, %v", quick, r, err)
		}
	}
	if _, err := s.Repair(t.Context(), CheckOptions{Quick: true}); err != nil {
		t.Fatal(err)
	}
	if r := mustBeWhole(t, s); r.Models != 2 || r.Blobs != 5 {
		t.Errorf("%+v", r)
	}
	for _, path := range []string{note, stray} {
		if readFile(t, path) != "words" {
			t.Errorf("%s was changed", path)
		}
	}
}

func TestRepairLeavesWhatCannotBeReadAlone(t *testing.T) {
	s := newStore(t)
	m := mustImport(t, s, "a", pair(t, "a"))
	mustImport(t, s, "b", Files{Model: pair(t, "b").Model})
	for _, path := range []string{s.blobPath(m.Manifest.Layers[0].Digest),
		s.manifestPath(mustName(t, "b"))} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(path, 0o600)
	}
	var r *Report
	var err error
	storetest.Unprivileged(t, func() { r, err = s.Repair(t.Context(), CheckOptions{}) })
	if err != nil || len(r.Problems) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, p := range r.Problems {
		if _, err := os.Lstat(p.Path); err != nil || p.Repair != "" {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

func TestNoBlobIsLostThroughAManifestOfAnotherName(t *testing.T) {
	s := newStore(t)
	m := mustImport(t, s, "a", pair(t, "a"))
	writeFile(t, s.dir("manifests/notes.txt"), "words") // that is no manifest is of no matter
	if err := os.Rename(s.manifestPath(m.Name), s.dir("manifests/a (copy).json")); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.GC(0); err != nil || removed.Blobs != 0 {
		t.Errorf("%+v, %v", removed, err)
	}
	if err := os.Remove(s.dir("manifests/a (copy).json")); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.GC(0); err != nil || removed.Blobs != 3 {
		t.Errorf("%+v, %v", removed, err)
	}
}

// A pipe in the place of a manifest must not be waited for.
func TestAManifestThatIsAPipeIsRefused(t *testing.T) {
	s := newStore(t)
	mustImport(t, s, "a", pair(t, "a"))
	path := s.manifestPath(mustName(t, "b"))
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := s.Find("b"); !errors.Is(err, ErrManifest) {
		t.Errorf("%v", err)
	}
	if r, err := s.Check(t.Context(), CheckOptions{}); err != nil || len(r.Problems) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestNamesThatWouldBeOneFileElsewhereAreRefused(t *testing.T) {
	s := newStore(t)
	files := pair(t, "a")
	mustImport(t, s, "Llava:7b", files)
	for _, name := range []string{"llava:7b", "Llava:7B"} {
		if _, err := s.Import(t.Context(), mustName(t, name), files, true, nil); !errors.Is(err,
			ErrExists) || !strings.Contains(err.Error(), "upper and lower case") {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustImport(t, s, "llava:13b", files)
}

// Of many that give one name to different models at once, without replacing, one comes through.
func TestANameIsGivenOnce(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		files := Files{Model: pair(t, fmt.Sprint(i)).Model}
		wg.Go(func() {
			_, errs[i] = s.Import(t.Context(), Name{Path: "a", Tag: "latest"}, files, false, nil)
		})
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("%d imports believe that the name is theirs", done)
	}
	mustBeWhole(t, s)
}

func TestALicenceThatIsNoTextIsRefused(t *testing.T) {
	s := newStore(t)
	files := pair(t, "a")
	files.Licenses = []string{writeFile(t, filepath.Join(t.TempDir(), "LICENCE"), "Copyright \xa9")}
	if _, err := s.Import(t.Context(), mustName(t, "a"), files, false, nil); !errors.Is(err,
		ErrUnsupported) || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("%v", err)
	}
	if left := tree(t, s.dir("blobs")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestWhatDoesNotFitIsRefusedBeforeItComes(t *testing.T) {
	s := newStore(t)
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	data := randomBytes(100)
	huge := Descriptor{Digest: DigestOf([]byte("x")), Size: 1 << 55}
	small := Descriptor{Digest: DigestOf(data), Size: 100}
	for name, blobs := range map[string][]Descriptor{"one": {small, huge},
		"many": slices.Repeat([]Descriptor{huge}, 600)} {
		if err := session.Room(blobs); !errors.Is(err, ErrSpace) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := session.Room([]Descriptor{small}); err != nil {
		t.Error(err)
	}
	// A part that came needs no room again; its length is all that is looked at here.
	f, err := os.Create(s.partialPath(huge.Digest))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 40); err != nil {
		t.Skip(err)
	}
	huge.Size = 1<<40 + 100
	if err := session.Room([]Descriptor{huge}); err != nil {
		t.Error(err)
	}
}

// A split model of a store that cannot be written gets its links in the user's cache. Here a file
// stands where the folder of links would be, which stops root as well.
func TestASplitModelOpensFromAReadOnlyStore(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	t.Setenv("EYELET_CACHE", cache)
	for i := range 2 {
		w := gguf.NewWriter("llama")
		w.Set("split.no", uint16(i))
		w.Set("split.count", uint16(2))
		w.Set("split.tensors.count", int32(0))
		if err := w.WriteFile(filepath.Join(dir, fmt.Sprintf("big-%05d-of-00002.gguf",
			i+1))); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(t)
	mustImport(t, s, "big", Files{Model: filepath.Join(dir, "big-00001-of-00002.gguf")})
	writeFile(t, s.dir("parts"), "")
	r, err := s.Resolve("big")
	if err != nil || !strings.HasPrefix(r.Path, cache) {
		t.Fatalf("%+v, %v", r, err)
	}
	f, err := gguf.Open(r.Path)
	if err != nil || len(f.Parts()) != 2 {
		t.Fatal(err)
	}
	f.Close()
	t.Setenv("EYELET_CACHE", writeFile(t, filepath.Join(dir, "file"), ""))
	if _, err := s.Resolve("big"); err == nil || !strings.Contains(err.Error(), "EYELET_CACHE") {
		t.Errorf("%v", err)
	}
}
