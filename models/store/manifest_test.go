package store

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// ollamaManifest is in the form in which Ollama 0.17 writes manifests.
const ollamaManifest = `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},
"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae","size":3,"from":"/somewhere"}]}`

func TestManifestsOfOllamaAreRead(t *testing.T) {
	m, err := ParseManifest([]byte(ollamaManifest))
	if err != nil || m.Size() != 3 || len(m.Blobs()) != 2 || len(m.of(MediaModel)) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestHostileManifestsAreRefused(t *testing.T) {
	layer := func(mediaType, digest, size string) string {
		return `{"mediaType":"` + mediaType + `","digest":"` + digest + `","size":` + size + `}`
	}
	config := layer(MediaConfig, someDigest, "0")
	model := layer(MediaModel, someDigest, "0")
	manifest := func(config string, layers ...string) string {
		return `{"schemaVersion":2,"config":` + config + `,"layers":[` + strings.Join(layers, ",") +
			`]}`
	}
	if _, err := ParseManifest([]byte(manifest(config, model))); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"no JSON":         "manifest",
		"an array":        "[]",
		"two objects":     manifest(config, model) + "{}",
		"another version": strings.Replace(manifest(config, model), ":2,", ":1,", 1),
		"another type": strings.Replace(manifest(config, model), `2,`,
			`2,"mediaType":"text/html",`, 1),
		"no layers": manifest(config),
		"no model":  manifest(config, layer(MediaProjector, someDigest, "0")),
		"a digest that climbs": manifest(config,
			layer(MediaModel, "sha256:../../../../etc/passwd", "0")),
		"a digest in capitals": manifest(config,
			layer(MediaModel, strings.ToUpper(someDigest), "0")),
		"a digest of another kind": manifest(config,
			layer(MediaModel, "md5:d41d8cd98f00b204e9800998ecf8427e", "0")),
		"a negative size": manifest(config, layer(MediaModel, someDigest, "-1")),
		"sizes that overflow": manifest(config, layer(MediaModel, someDigest,
			"9223372036854775807")),
		"a size beyond 64 bits": manifest(config, layer(MediaModel, someDigest,
			"99999999999999999999")),
		"a fraction as size":    manifest(config, layer(MediaModel, someDigest, "1.5")),
		"two sizes of one blob": manifest(config, layer(MediaModel, someDigest, "7")),
		"a text of gigabytes": manifest(config, model,
			layer(MediaSystem, "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "5000000000")),
		"too many layers": manifest(config,
			strings.Split(strings.Repeat(model+"|", 3000), "|")[:3000]...),
		"a manifest of two megabytes": manifest(config, model) + strings.Repeat(" ", 2<<20),
	} {
		if m, err := ParseManifest([]byte(text)); !errors.Is(err, ErrManifest) {
			t.Errorf("%s is taken: %+v, %v", name, m, err)
		}
	}
}

// FuzzManifest checks that no manifest crashes the reader, that what is taken keeps what the store
// relies on, and that errors are of the documented kind.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(ollamaManifest))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"sha256:x","size":-1},"layers":null}`))
	f.Add([]byte(strings.ReplaceAll(ollamaManifest, `"size":3`, `"size":1e18`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			if !errors.Is(err, ErrManifest) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		var total int64
		for _, d := range m.Blobs() {
			if back, err := ParseDigest(string(d.Digest)); err != nil || back != d.Digest ||
				d.Size < 0 || total+d.Size < total {
				t.Fatalf("taken: %+v", d)
			}
			total += d.Size
		}
		if m.Size() != total {
			t.Fatalf("%d bytes, not %d", m.Size(), total)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > MaxManifest {
			return // escapes made it longer
		}
		if _, err := ParseManifest(again); err != nil {
			t.Fatalf("written again it is refused: %v", err)
		}
	})
}

// FuzzName checks that every name that is taken is a file name of its own, and comes back from it.
func FuzzName(f *testing.F) {
	for _, s := range []string{"llava:7b", "../x", "a/b:c", "a+b@c", "A:latest"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		file := n.FileName()
		if strings.ContainsAny(file, "/\\\x00") || strings.HasPrefix(file, ".") || len(file) > 255 {
			t.Fatalf("%q becomes the file %q", s, file)
		}
		if back, err := nameOfFile(file); err != nil || back != n {
			t.Fatalf("%q becomes %q and that %q, %v", s, file, back, err)
		}
	})
}
