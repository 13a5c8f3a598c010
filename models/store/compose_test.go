package store

import (
	"errors"
	"os"
	"slices"
	"testing"
)

func TestComposeMakesModelsOfBlobsAndOfOtherModels(t *testing.T) {
	s, err := Open(Options{Root: t.TempDir(), NoOllama: true})
	if err != nil {
		t.Fatal(err)
	}
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var files []Digest
	for _, path := range []string{"../builtin/mmproj-eyelet-builtin-q8_0.gguf",
		"../builtin/eyelet-builtin-q8_0.gguf"} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := session.AddBytes(t.Context(), data, "")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, d.Digest)
	}
	text, err := session.AddBytes(t.Context(), []byte("no model"), "")
	if err != nil {
		t.Fatal(err)
	}
	name := func(s string) Name {
		n, err := ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first, err := session.Compose(t.Context(), name("first"),
		Recipe{Files: files, Texts: map[string][]byte{MediaSystem: []byte("a"),
			MediaTemplate: []byte("b")}, Licenses: []string{"c"}})
	if err != nil {
		t.Fatal(err)
	}
	config, err := first.Config()
	if err != nil || config.ModelFamily != "llama" || !slices.Contains(config.ModelFamilies,
		"clip") || !first.Vision() {
		t.Errorf("%+v %v", config, err)
	}
	if _, err := session.Compose(t.Context(), name("second"),
		Recipe{Base: first, Texts: map[string][]byte{MediaSystem: []byte("d"), MediaTemplate: nil},
			Licenses: []string{"e"}}); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve("second")
	if err != nil || r.System != "d" || r.Template != "" || !slices.Equal(r.Licenses,
		[]string{"c", "e"}) || r.Projector == "" {
		t.Errorf("%+v %v", r, err)
	}
	for what, files := range map[string][]Digest{"a projector alone": files[:1],
		"two projectors": {files[0], files[0], files[1]}, "a text": {text.Digest},
		"what is not there": {DigestOf([]byte("x"))}} {
		if _, err := session.Compose(t.Context(), name("third"), Recipe{Files: files}); err == nil {
			t.Errorf("%s makes a model", what)
		}
	}
	if _, err := s.Find("third"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}
