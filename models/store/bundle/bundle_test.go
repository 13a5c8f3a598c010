package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/eyelet-engine/eyelet/models/store"
)

func TestWhatIsExportedComesBack(t *testing.T) {
	from := newStore(t)
	a, b := addModel(t, from, "a", 300_000, 400_000), addModel(t, from, "team/b:q4", 5000, 100)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		o    ExportOptions
		path string
		args int
	}{
		"packed":     {ExportOptions{}, "packed.eyb", 1},
		"plain":      {ExportOptions{Plain: true}, "plain.eyb", 1},
		"in volumes": {ExportOptions{VolumeSize: 100_000}, "split.eyb", 5},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Models = []*store.Model{a, b, a}
			files := export(t, filepath.Join(dir, c.path), c.o)
			if len(files) < c.args {
				t.Errorf("made %v", files)
			}
			for _, first := range []string{files[0], filepath.Join(dir, c.path),
				files[len(files)-1]} {
				s := newStore(t)
				r, err := importFrom(t, s, first, ImportOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Models) != 2 || r.Models[0].Digest != a.Digest ||
					r.Models[1].Name != b.Name || r.Signed {
					t.Errorf("%+v", r)
				}
				if report := mustBeWhole(t, s); report.Unused != 0 || report.Models != 2 {
					t.Errorf("%+v", report)
				}
				if again, err := importFrom(t, s, first, ImportOptions{}); err != nil ||
					len(again.Models) != 2 {
					t.Errorf("a second time: %v", err)
				}
			}
		})
	}
	if info, plain := stat(t, filepath.Join(dir, "packed.eyb")),
		stat(t, filepath.Join(dir, "plain.eyb")); info.Size() > plain.Size()-200_000 {
		t.Errorf("packed it has %d bytes, plain %d", info.Size(), plain.Size())
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// The system's tar, which knows nothing of us, must unpack a bundle to a store that can be used as
// it is.
func TestTarUnpacksABundleToAStore(t *testing.T) {
	from := newStore(t)
	a := addModel(t, from, "a", 300_000, 400_000)
	dir := t.TempDir()
	files := export(t, filepath.Join(dir, "a.eyb"), ExportOptions{Models: []*store.Model{a},
		Plain: true, VolumeSize: 200_000})
	out := t.TempDir()
	cmd := exec.Command("sh", append([]string{"-c", `cat "$@" | tar -xf - -C "$0"`, out},
		files...)...)
	if text, err := cmd.CombinedOutput(); err != nil || len(text) > 0 {
		t.Fatalf("tar: %v: %s", err, text)
	}
	s, err := store.Open(store.Options{Root: filepath.Join(out, folder, "models"), NoOllama: true})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.Resolve("a"); err != nil || m.Digest != a.Digest {
		t.Errorf("%v", err)
	}
	mustBeWhole(t, s)
}

func TestABundleComesThroughAStream(t *testing.T) {
	from := newStore(t)
	a := addModel(t, from, "a", 300_000, 400_000)
	var b bytes.Buffer
	if err := ExportStream(t.Context(), &b, ExportOptions{Models: []*store.Model{a}}); err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	if _, err := Import(t.Context(), s, StreamSource(iotest.HalfReader(bytes.NewReader(b.Bytes()))),
		ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	mustBeWhole(t, s)
	s = newStore(t)
	if _, err := Import(t.Context(), s, StreamSource(bytes.NewReader(b.Bytes()[:b.Len()/2])),
		ImportOptions{}); !errors.Is(err, ErrBundle) || len(left(t, s)) > 0 {
		t.Errorf("a stream that ends: %v, left %v", err, left(t, s))
	}
}

func TestAnInterruptedImportGoesOn(t *testing.T) {
	from := newStore(t)
	a := addModel(t, from, "a", 5<<20, 3<<20)
	path := export(t, filepath.Join(t.TempDir(), "a.eyb"),
		ExportOptions{Models: []*store.Model{a}})[0]
	s := newStore(t)
	for i := range 6 {
		src, err := OpenSource(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		seen := int64(0)
		_, err = Import(ctx, s, src, ImportOptions{Progress: func(n int64) {
			if seen += n; seen > int64(i+1)<<20 {
				cancel()
			}
		}})
		cancel()
		src.Close()
		if err == nil || !errors.Is(err, context.Canceled) {
			t.Fatalf("attempt %d: %v", i, err)
		}
		mustBeWhole(t, s)
		if _, err := s.Find("a"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("attempt %d: the name is there: %v", i, err)
		}
	}
	if len(left(t, s)) == 0 {
		t.Error("nothing was kept to go on from")
	}
	if _, err := importFrom(t, s, path, ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := mustBeWhole(t, s); r.Unused != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAMediumThatCannotBeReadKeepsWhatCame(t *testing.T) {
	from := newStore(t)
	a := addModel(t, from, "a", 3<<20, 4000)
	var b bytes.Buffer
	if err := ExportStream(t.Context(), &b, ExportOptions{Models: []*store.Model{a}}); err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	broken := io.MultiReader(bytes.NewReader(b.Bytes()[:2<<20]),
		iotest.ErrReader(os.ErrDeadlineExceeded))
	if _, err := Import(t.Context(), s, StreamSource(broken), ImportOptions{}); !errors.Is(err,
		os.ErrDeadlineExceeded) || len(left(t, s)) == 0 {
		t.Errorf("%v, left %v", err, left(t, s))
	}
	if _, err := Import(t.Context(), s, StreamSource(&b), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	mustBeWhole(t, s)
}

func TestADamagedStoreMakesNoBundle(t *testing.T) {
	for i, what := range []string{"a file that travels as it is", "a file that is packed"} {
		s := newStore(t)
		a := addModel(t, s, "a", 300_000, 400_000) // the second is packed
		path, err := a.BlobPath(a.Manifest.Layers[i])
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		writeFile(t, path, data)
		dir := t.TempDir()
		if _, err := Export(t.Context(), filepath.Join(dir, "a.eyb"),
			ExportOptions{Models: []*store.Model{a}}); !errors.Is(err, store.ErrDigest) {
			t.Errorf("%s: %v", what, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: left: %v", what, entries)
		}
	}
}

// An export that is interrupted at any moment, in signing too, leaves nothing.
func TestAnInterruptedExportLeavesNothing(t *testing.T) {
	s := newStore(t)
	a := addModel(t, s, "a", 3<<20, 400_000)
	program := t.TempDir()
	writeFile(t, filepath.Join(program, "eyelet"), nil)
	writeFile(t, filepath.Join(program, "bin/eyelet.bin"), nil)
	folder, err := OpenProgram(program, Program{})
	if err != nil {
		t.Fatal(err)
	}
	keys := t.TempDir()
	if _, err := NewKey(filepath.Join(keys, "site"), ""); err != nil {
		t.Fatal(err)
	}
	secret, err := ReadSecretKey(filepath.Join(keys, "site"), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := ExportOptions{Models: []*store.Model{a}, Program: folder, Key: &secret,
		VolumeSize: 1 << 20}
	var total int64
	o.Progress = func(n int64) { total += n }
	export(t, filepath.Join(t.TempDir(), "a.eyb"), o)
	// the last is behind all files, before the signatures
	for _, at := range []int64{1, total / 2, total} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		var seen int64
		o.Progress = func(n int64) {
			if seen += n; seen >= at {
				cancel()
			}
		}
		if _, err := Export(ctx, filepath.Join(dir, "a.eyb"), o); !errors.Is(err,
			context.Canceled) {
			t.Errorf("after %d bytes: %v", at, err)
		}
		cancel()
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("after %d bytes, left: %v", at, entries)
		}
	}
}

// A folder that stands where a file should be stays, and no other file of the bundle does, nor a
// signature.
func TestAnExportThatCannotTakeItsPlaceLeavesNothing(t *testing.T) {
	s := newStore(t)
	a := addModel(t, s, "a", 300_000, 4000)
	program, keys := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(program, "eyelet"), nil)
	writeFile(t, filepath.Join(program, "bin/eyelet.bin"), nil)
	folder, err := OpenProgram(program, Program{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKey(filepath.Join(keys, "site"), ""); err != nil {
		t.Fatal(err)
	}
	secret, err := ReadSecretKey(filepath.Join(keys, "site"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, volume := range map[string]int64{"a.eyb": 0, "a.eyb.002": 100_000} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		made, err := Export(t.Context(), filepath.Join(dir, "a.eyb"),
			ExportOptions{Models: []*store.Model{a}, Program: folder, Key: &secret,
				VolumeSize: volume})
		if err == nil || len(made) > 0 {
			t.Errorf("%s: made %v, %v", name, made, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 ||
			entries[0].Name() != name {
			t.Errorf("%s: left: %v, %v", name, entries, err)
		}
	}
}

func TestMissingVolumesAreNamed(t *testing.T) {
	from := newStore(t)
	a := addModel(t, from, "a", 500_000, 4000)
	dir := t.TempDir()
	files := export(t, filepath.Join(dir, "a.eyb"), ExportOptions{Models: []*store.Model{a},
		VolumeSize: 100_000})
	for _, i := range []int{2, 4} {
		if err := os.Rename(files[i], files[i]+".away"); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(t)
	_, err := importFrom(t, s, files[0], ImportOptions{})
	if !errors.Is(err, ErrBundle) || !strings.Contains(err.Error(), "a.eyb.003, ") ||
		!strings.Contains(err.Error(), "a.eyb.005") || strings.Contains(err.Error(), "a.eyb.004") {
		t.Errorf("%v", err)
	}
	if l := left(t, s); len(l) > 0 {
		t.Errorf("left: %v", l)
	}
}

func TestAProgramTravelsAlong(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"eyelet": 0o755, "bin/eyelet.bin": 0o755,
		"lib/libc++.so.6": 0o644, "LICENSE": 0o644, "models/blobs/x": 0o644, "index.json": 0o644} {
		if err := os.Chmod(writeFile(t, filepath.Join(dir, name), []byte(name)), mode); err != nil {
			t.Fatal(err)
		}
	}
	program, err := OpenProgram(dir, Program{Version: "1", Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	from := newStore(t)
	a := addModel(t, from, "a", 100_000, 400_000)
	path := export(t, filepath.Join(t.TempDir(), "a.eyb"), ExportOptions{Models: []*store.Model{a},
		Program: program, Documents: []Document{{"sbom.spdx.json", []byte("{}")}}})[0]
	var got []string
	for _, e := range readTar(t, path) {
		got = append(got, strings.TrimPrefix(e.Name, folder))
		if strings.HasPrefix(e.Name, folder+"packed/") {
			t.Errorf("%s is packed, and could not be run where tar unpacks it", e.Name)
		}
		if runs := e.Mode&0o111 != 0; runs != strings.HasSuffix(e.Name, "/eyelet") &&
			runs != strings.HasSuffix(e.Name, ".bin") {
			t.Errorf("%s has the mode %o", e.Name, e.Mode)
		}
	}
	if list := strings.Join(got, " "); !strings.HasSuffix(list,
		"LICENSE bin/eyelet.bin eyelet lib/libc++.so.6 sbom.spdx.json") {
		t.Errorf("%s", list)
	}
	s := newStore(t)
	if r, err := importFrom(t, s, path, ImportOptions{}); err != nil || r.Program.Version != "1" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, empty := range []string{t.TempDir(), filepath.Join(dir, "lib")} {
		if _, err := OpenProgram(empty, Program{}); err == nil {
			t.Errorf("%s is taken for a program", empty)
		}
	}
}
