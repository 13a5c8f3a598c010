package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aead.dev/minisign"
	"github.com/klauspost/compress/zstd"

	"github.com/eyelet-engine/eyelet/models/store"
)

// hostile is a bundle that must be refused, made of a good one.
type hostile struct {
	name string
	want string // in the error
	make func(t *testing.T, good []entry) []byte
}

// wantInStream is what errors say in the place of want of a bundle that comes through a stream,
// whose later headers cannot be looked at first.
var wantInStream = map[string]string{"a file twice, in the middle": "the manifest says"}

// change makes a hostile bundle by changing members.
func change(edit func(t *testing.T, e []entry) []entry) func(t *testing.T, good []entry) []byte {
	return func(t *testing.T, good []entry) []byte { return tarBytes(t, edit(t, good)) }
}

// reIndex changes the index alone.
func reIndex(edit func(x *Index)) func(t *testing.T, good []entry) []byte {
	return change(func(t *testing.T, e []entry) []entry { return editIndex(t, e, edit) })
}

// extra adds a member at the end.
func extra(h tar.Header) func(t *testing.T, good []entry) []byte {
	return change(func(t *testing.T, e []entry) []entry {
		h.Mode, h.ModTime = 0o644, made
		return append(e, entry{h, []byte("x")})
	})
}

// instead puts a member of another type in the place of a model's file.
func instead(kind byte, target string) func(t *testing.T, good []entry) []byte {
	return change(func(t *testing.T, e []entry) []entry {
		i := find(t, e, blobDir)
		e[i].Typeflag, e[i].Linkname, e[i].data = kind, target, nil
		return e
	})
}

// lastBlob returns the last blob that the index lists.
func lastBlob(x *Index) *File {
	for i := range x.Files {
		if f := &x.Files[len(x.Files)-1-i]; f.Kind == kindBlob {
			return f
		}
	}
	return nil
}

// bomb replaces the packed file by one that unpacks to n zeros, of which the index tells what claim
// says.
func bomb(n int, claim func(f *File, packed []byte)) func(t *testing.T, good []entry) []byte {
	return change(func(t *testing.T, e []entry) []entry {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		packed := w.EncodeAll(make([]byte, n), nil)
		i := find(t, e, packedDir)
		e[i].data = packed
		return editIndex(t, e, func(x *Index) {
			for i := range x.Files {
				if f := &x.Files[i]; f.Encoding == encodingZstd {
					f.Size = int64(len(packed))
					claim(f, packed)
				}
			}
		})
	})
}

var hostileBundles = []hostile{
	{"a path that climbs", "leads out of its folder",
		extra(tar.Header{Name: folder + "../../etc/cron.d/x", Typeflag: tar.TypeReg})},
	{"a path that climbs, in the index", "leads out of its folder", reIndex(func(x *Index) {
		lastBlob(x).Path = "../../x"
	})},
	{"a path that climbs through a name", "bad model name", reIndex(func(x *Index) {
		x.Models[0].Name = "../../x"
	})},
	{"an absolute path", "absolute path",
		extra(tar.Header{Name: "/etc/cron.d/x", Typeflag: tar.TypeReg})},
	{"an absolute path, in the index", "absolute path", reIndex(func(x *Index) {
		lastBlob(x).Path = "/etc/x"
	})},
	{"a symbolic link", "symbolic link", instead(tar.TypeSymlink, "/etc/passwd")},
	{"a hard link", "hard link", instead(tar.TypeLink, "/etc/passwd")},
	{"a device", "a device", instead(tar.TypeChar, "")},
	{"a pipe", "a pipe", instead(tar.TypeFifo, "")},
	{"a folder", "a folder", extra(tar.Header{Name: folder + "x/", Typeflag: tar.TypeDir})},
	{"a file outside the folder", "outside the folder",
		extra(tar.Header{Name: "x", Typeflag: tar.TypeReg})},
	{"a file that is not in the index", "not in its index",
		extra(tar.Header{Name: folder + "x", Typeflag: tar.TypeReg})},
	{"a file twice", "comes twice", change(func(t *testing.T, e []entry) []entry {
		return append(e, e[len(e)-1])
	})},
	{"a file twice, in the middle", "comes twice", change(func(t *testing.T, e []entry) []entry {
		i := find(t, e, blobDir)
		e[i+1] = e[i]
		return editIndex(t, e, func(x *Index) { x.Files[i].Size = x.Files[i-1].Size })
	})},
	{"a file twice, in the index", "listed twice", reIndex(func(x *Index) {
		x.Files = append(x.Files, *lastBlob(x))
	})},
	{"files in another order", "not what its index lists here",
		change(func(t *testing.T, e []entry) []entry {
			i := find(t, e, blobDir)
			e[i], e[i+1] = e[i+1], e[i]
			return e
		})},
	{"a file larger than announced", "its index says",
		change(func(t *testing.T, e []entry) []entry {
			i := find(t, e, blobDir)
			e[i].data = append(e[i].data, 'x') // its padding has room
			return e
		})},
	{"a blob of another size than its manifest says", "the manifest says",
		change(func(t *testing.T, e []entry) []entry {
			i := find(t, e, blobDir)
			e[i].data = append(e[i].data, 'x')
			return editIndex(t, e, func(x *Index) { x.Files[i-1].Size++ })
		})},
	{"petabytes announced", "has a size of", reIndex(func(x *Index) {
		lastBlob(x).Size = 1 << 51
	})},
	{"petabytes announced by many", "more than 1125899906842624 bytes", reIndex(func(x *Index) {
		lastBlob(x).Unpacked, lastBlob(x).Size = 1<<50, 1<<49
	})},
	{"more announced than numbers hold", "more than 1125899906842624 bytes",
		reIndex(func(x *Index) {
			for i := range 9000 { // packed, each of the largest size, and unpacked of hardly any
				d := store.DigestOf([]byte{byte(i), byte(i >> 8)})
				x.Files = append(x.Files, File{Path: packedDir + d.FileName() + packedSuffix,
					Kind: kindBlob, Size: maxTotal, Digest: d, Encoding: encodingZstd, Unpacked: 1})
			}
		})},
	{"a model of a negative size", "has a size of", reIndex(func(x *Index) {
		x.Models[0].Size = -1
	})},
	{"manifests that fill the memory", "manifests of more than", reIndex(func(x *Index) {
		first := x.Files[0]
		x.Files = nil
		for i := range 100 {
			f := first
			f.Path, f.Size = manifestDir+"x"+strings.Repeat("y",
				i%50)+"@"+string(rune('a'+i/50))+".json", store.MaxManifest
			x.Files = append(x.Files, f)
		}
	})},
	{"a name that Windows keeps", "keeps for a device", reIndex(func(x *Index) {
		x.Models[0].Name = "nul"
	})},
	{"a bundle that is cut", "truncated", func(t *testing.T, good []entry) []byte {
		data := tarBytes(t, good)
		return data[:len(data)/2]
	}},
	{"a bundle that is cut in its index", "truncated", func(t *testing.T, good []entry) []byte {
		return tarBytes(t, good)[:700]
	}},
	{"a bundle without its end", "truncated", func(t *testing.T, good []entry) []byte {
		data := tarBytes(t, good)
		return data[:len(data)-1024]
	}},
	{"something behind the end", "something follows its end",
		func(t *testing.T, good []entry) []byte { return append(tarBytes(t, good), "x"...) }},
	{"other bytes in a blob", "digest", change(func(t *testing.T, e []entry) []entry {
		i := find(t, e, blobDir)
		e[i].data = bytes.Clone(e[i].data)
		e[i].data[100] ^= 1
		return e
	})},
	{"other bytes in a manifest", "digest", change(func(t *testing.T, e []entry) []entry {
		i := find(t, e, manifestDir)
		e[i].data = bytes.Replace(e[i].data, []byte("apache"), []byte("apachE"), 1)
		return e
	})},
	{"a manifest that is none", "bad manifest", change(func(t *testing.T, e []entry) []entry {
		i := find(t, e, manifestDir)
		e[i].data = []byte("{}")
		return editIndex(t, e, func(x *Index) {
			x.Files[i-1].Size, x.Files[i-1].Digest = 2, store.DigestOf([]byte("{}"))
			x.Models[0].Digest = x.Files[i-1].Digest
		})
	})},
	{"a blob that is lacking", "neither in it nor in the store",
		change(func(t *testing.T, e []entry) []entry {
			i := find(t, e, blobDir)
			e = append(e[:i], e[i+1:]...)
			return editIndex(t, e, func(x *Index) {
				x.Files = append(x.Files[:i-1], x.Files[i:]...)
			})
		})},
	{"a blob that no manifest needs", "no manifest needs",
		change(func(t *testing.T, e []entry) []entry {
			h := e[find(t, e, blobDir)]
			h.data = []byte("malware")
			d := store.DigestOf(h.data)
			h.Name = folder + blobDir + d.FileName()
			e = append(e, h)
			return editIndex(t, e, func(x *Index) {
				x.Files = append(x.Files, File{Path: blobDir + d.FileName(), Kind: kindBlob,
					Size:   7,
					Digest: d})
			})
		})},
	{"a bomb that the index admits", "fold", bomb(16<<20, func(f *File, packed []byte) {
		f.Unpacked = 16 << 20
	})},
	{"a bomb that the index denies", "more than", bomb(16<<20, func(f *File, packed []byte) {})},
	{"packed bytes that are none", "unpacking", change(func(t *testing.T, e []entry) []entry {
		i := find(t, e, packedDir)
		e[i].data = bytes.Repeat([]byte("x"), len(e[i].data))
		return e
	})},
	{"no index first", "not with its index", change(func(t *testing.T, e []entry) []entry {
		return e[1:]
	})},
	{"an index of another version", "version 2", reIndex(func(x *Index) { x.Version = 2 })},
	{"an index that is no JSON", "its index", change(func(t *testing.T, e []entry) []entry {
		e[0].data = []byte("index")
		return e
	})},
	{"a program among the models", "among the models", reIndex(func(x *Index) {
		f := lastBlob(x)
		f.Kind, f.Path, f.Encoding = kindProgram, "models/blobs/x", ""
	})},
	{"a manifest of no model", "manifest of no model", reIndex(func(x *Index) { x.Models = nil })},
	{"a picture", "header that is none", func(*testing.T, []entry) []byte {
		return append([]byte("\x89PNG\r\n"), make([]byte, 2000)...)
	}},
	{"nothing", "truncated", func(*testing.T, []entry) []byte { return nil }},
	{"zeros", "not with its index", func(*testing.T, []entry) []byte { return make([]byte, 4096) }},
}

func TestHostileBundlesAreRefusedAndLeaveNothing(t *testing.T) {
	from := newStore(t)
	a := addModel(t, from, "a", 300_000, 400_000)
	path := export(t, filepath.Join(t.TempDir(), "a.eyb"),
		ExportOptions{Models: []*store.Model{a}})[0]
	for _, h := range hostileBundles {
		t.Run(h.name, func(t *testing.T) {
			dir := t.TempDir()
			data := h.make(t, readTar(t, path))
			s, err := store.Open(store.Options{Root: filepath.Join(dir, "a", "b", "models"),
				NoOllama: true})
			if err != nil {
				t.Fatal(err)
			}
			file := writeFile(t, filepath.Join(dir, "x.eyb"), data)
			_, fromFile := importFrom(t, s, file, ImportOptions{})
			_, fromStream := Import(t.Context(), s, StreamSource(bytes.NewReader(data)),
				ImportOptions{})
			if fromFile == nil || !strings.Contains(fromFile.Error(), h.want) {
				t.Errorf("from a file: refused for %v, want %q", fromFile, h.want)
			}
			if want := cmp.Or(wantInStream[h.name], h.want); fromStream == nil ||
				!strings.Contains(fromStream.Error(), want) {
				t.Errorf("from a stream: refused for %v, want %q", fromStream, want)
			}
			if l := left(t, s); len(l) > 0 {
				t.Errorf("left: %v", l)
			}
			if err := os.RemoveAll(s.Root()); err != nil {
				t.Fatal(err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 2 {
				t.Errorf("written beside the store: %v, %v", entries, err)
			}
		})
	}
}

func TestSignatures(t *testing.T) {
	keys := t.TempDir()
	public, err := NewKey(filepath.Join(keys, "site"), "")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewKey(filepath.Join(keys, "other"), "")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	secret, err := ReadSecretKey(filepath.Join(keys, "site"), func() (string, error) {
		asked++
		return "", nil
	})
	if err != nil || asked > 0 {
		t.Fatalf("%v, asked %d times", err, asked)
	}
	from := newStore(t)
	a := addModel(t, from, "a", 3000, 4000)
	dir := t.TempDir()
	signed := export(t, filepath.Join(dir, "signed.eyb"), ExportOptions{Models: []*store.Model{a},
		Key: &secret})[0]
	unsigned := export(t, filepath.Join(dir, "unsigned.eyb"),
		ExportOptions{Models: []*store.Model{a}})[0]
	forged := writeFile(t, filepath.Join(dir, "forged.eyb"),
		tarBytes(t, editIndex(t, readTar(t, signed), func(x *Index) { x.Models[0].Name = "b" })))
	garbled := readTar(t, signed)
	garbled[1].data = []byte("words")
	noSignature := writeFile(t, filepath.Join(dir, "words.eyb"), tarBytes(t, garbled))
	text, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Fields(string(text))
	word := line[len(line)-1]
	for _, c := range []struct {
		name, path, policy string
		keys               []PublicKey
		want               string // in the error, "" for none
	}{
		{"signed, and nobody asks", signed, "", nil, ""},
		{"signed by the given key", signed, "", []PublicKey{public}, ""},
		{"signed by one of the given keys", signed, "", []PublicKey{other, public}, ""},
		{"signed by another key", signed, "", []PublicKey{other}, "not trusted"},
		{"not signed, and nobody asks", unsigned, "", nil, ""},
		{"not signed, with a key given", unsigned, "", []PublicKey{public}, "not signed"},
		{"forged", forged, "", []PublicKey{public}, "did not sign"},
		{"a signature that is none", noSignature, "", []PublicKey{public}, "no signature"},
		{"policy: signed by a trusted key", signed, `{"require_signature":true,"trusted_keys":["` +
			word + `"]}`, nil, ""},
		{"policy: not signed", unsigned, `{"require_signature":true,"trusted_keys":["` + word +
			`"]}`, nil, "not signed"},
		{"policy: forged", forged, `{"trusted_keys":["` + word + `"]}`, nil, "did not sign"},
		{"policy: signed by another key", signed, `{"trusted_keys":["` + other.String() + `"]}`,
			nil, "not trusted"},
		{"policy: a given key that is not trusted", signed, `{"trusted_keys":["` + other.String() +
			`"]}`, []PublicKey{public}, "does not trust the given key"},
		{"policy: a signature demanded, no key", signed, `{"require_signature":true}`, nil,
			"name a key to trust"},
		{"policy: a signature demanded, a key given", signed, `{"require_signature":true}`,
			[]PublicKey{public}, ""},
		{"policy: a key that is none", signed, `{"trusted_keys":["RWx"]}`, nil,
			"no minisign public key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			if c.policy != "" {
				writeFile(t, filepath.Join(s.Root(), "policy.json"), []byte(c.policy))
			}
			before := len(left(t, s))
			r, err := importFrom(t, s, c.path, ImportOptions{Keys: c.keys})
			if c.want == "" {
				if err != nil || len(r.Models) != 1 || (r.Signer != nil) != (c.keys != nil ||
					c.policy != "") {
					t.Errorf("%+v, %v", r, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || len(left(t, s)) != before {
				t.Errorf("%v, want %q; left %v", err, c.want, left(t, s))
			}
		})
	}
	for _, s := range []string{word, filepath.Join(keys, "site.pub")} {
		if key, err := ParsePublicKey(s); err != nil || !key.Equal(public) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "RW", "none.pub", filepath.Join(keys, "site"), signed} {
		if _, err := ParsePublicKey(s); err == nil {
			t.Errorf("%q is taken for a public key", s)
		}
	}
}

func TestASecretKeyNeedsItsPassword(t *testing.T) {
	if testing.Short() {
		t.Skip("minisign makes guessing take a gigabyte and seconds, and so this test")
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "site")
	public, err := NewKey(path, "a password")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecretKey(path, func() (string, error) {
		return "wrong", nil
	}); !errors.Is(err, ErrPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	if key, err := ReadSecretKey(path, func() (string, error) {
		return "a password", nil
	}); err != nil || !public.Equal(key.Public()) {
		t.Errorf("the right password: %v", err)
	}
}

// Keys may come through pipes, as those that a shell makes of "<(decrypt key)".
func TestASecretKeyComesThroughAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site")
	public, err := NewKey(path, "")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pipe := path + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, data, 0o600) }()
	key, err := ReadSecretKey(pipe, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil || !public.Equal(key.Public()) {
		t.Errorf("another key, or %v", err)
	}
}

// A bundle with a program is signed as a whole too, by what minisign -V checks.
func TestABundleWithAProgramIsSignedWhole(t *testing.T) {
	dir, keys := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(dir, "eyelet"), nil)
	writeFile(t, filepath.Join(dir, "bin/eyelet.bin"), nil)
	public, err := NewKey(filepath.Join(keys, "site"), "")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ReadSecretKey(filepath.Join(keys, "site"), nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := OpenProgram(dir, Program{})
	if err != nil {
		t.Fatal(err)
	}
	path := export(t, filepath.Join(t.TempDir(), "a.eyb"), ExportOptions{Program: program,
		Key: &secret})[0]
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := os.ReadFile(path + ".minisig")
	if err != nil {
		t.Fatal(err)
	}
	r := minisign.NewReader(bytes.NewReader(data))
	if _, err := bytes.NewBuffer(nil).ReadFrom(r); err != nil || !r.Verify(public, signature) {
		t.Errorf("the signature does not hold: %v", err)
	}
}
