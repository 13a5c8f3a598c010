package server

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/store"
)

func TestModelsAreFoundByTheNamesOfAllSources(t *testing.T) {
	folder := t.TempDir()
	for from, to := range map[string]string{seedModel: "Tiny Llava-Q8_0.gguf",
		seedProjector: "mmproj-tiny-llava.gguf"} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, to), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ts := serve(t, func(o *Options) { o.Folder = folder })
	name, err := store.ParseName("shelf:v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ts.store.Import(t.Context(), name, store.Files{Model: seedModel,
		Projector: seedProjector, System: "Be brief."}, false, nil); err != nil {
		t.Fatal(err)
	}
	all, err := ts.models.all()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	digests := map[string]bool{}
	for _, m := range all {
		names = append(names, m.name)
		digests[m.digest] = true
		if m.size < 5<<20 || len(m.digest) != 64 || m.config.ModelFamily != "llama" ||
			!slices.Contains(m.config.ModelFamilies, "clip") || m.modified.IsZero() {
			t.Errorf("%s: %d bytes, %q, %+v, %v", m.name, m.size, m.digest, m.config, m.modified)
		}
	}
	if want := []string{builtin.Name + ":latest", "seed:latest", "shelf:v1",
		"tiny-llava-q8_0:latest"}; !slices.Equal(names, want) || len(digests) != len(want) {
		t.Errorf("%v (%d digests), want %v", names, len(digests), want)
	}
	for _, ref := range []string{"seed", "seed:latest", "builtin", builtin.Name, "tiny-llava-q8_0",
		"shelf:v1"} {
		if _, err := ts.models.find(ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if m, err := ts.models.find("shelf:v1"); err != nil || m.system() != "Be brief." {
		t.Errorf("%+v %v", m, err)
	}
	for ref, want := range map[string]error{"nothing": pool.ErrUnknownModel,
		"shelf": pool.ErrUnknownModel, "../../etc/passwd": store.ErrName,
		"/etc/passwd": store.ErrName, seedModel: store.ErrName} {
		if _, err := ts.models.find(ref); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", ref, err, want)
		}
	}
}

func TestALongerContextIsAModelOfItsOwn(t *testing.T) {
	ts := serve(t, func(o *Options) { o.Spec.Context, o.Limits.Context = 256, 1024 })
	m, err := ts.models.find("seed")
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[int]int{0: 256, 100: 256, 256: 256, 257: 1024, 1024: 1024} {
		_, spec, err := ts.models.key(m, asked)
		if err != nil || spec.Context != want {
			t.Errorf("%d: %d %v, want %d", asked, spec.Context, err, want)
		}
	}
	if _, _, err := ts.models.key(m, 1025); err == nil {
		t.Error("more than the limit is not refused")
	}
}

func TestALeaseLoadsAModelAndItsKeepAliveUnloadsIt(t *testing.T) {
	ts := serve(t)
	m, err := ts.models.find("seed")
	if err != nil {
		t.Fatal(err)
	}
	keep := -time.Second
	l, err := ts.models.use(t.Context(), m, 0, &keep)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
	if loaded := ts.models.loaded(); len(loaded) != 1 || loaded[0].name != "seed:latest" ||
		loaded[0].State != pool.Ready || !loaded[0].Expires.IsZero() {
		t.Fatalf("%+v", loaded)
	}
	ts.models.unload(m)
	eventually(t, "the model is unloaded", func() bool { return len(ts.models.loaded()) == 0 })
}
