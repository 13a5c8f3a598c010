package store

import (
	"errors"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for s, want := range map[string]string{
		"llava":                        "llava:latest",
		"llava:7b":                     "llava:7b",
		"team/llava:7b-q4_K_M":         "team/llava:7b-q4_K_M",
		"site.local/a/b:1.5":           "site.local/a/b:1.5",
		"Qwen2.5-VL":                   "Qwen2.5-VL:latest",
		"a/b/c/d/e":                    "a/b/c/d/e:latest",
		"console/com10/auxiliary:null": "console/com10/auxiliary:null",
		strings.Repeat("x", 128):       strings.Repeat("x", 128) + ":latest",
	} {
		n, err := ParseName(s)
		if err != nil || n.String() != want {
			t.Errorf("%q: %q, %v", s, n, err)
			continue
		}
		if back, err := nameOfFile(n.FileName()); err != nil || back != n {
			t.Errorf("%q becomes the file %q, which is %q (%v)", s, n.FileName(), back, err)
		}
		if len(n.FileName()) > 255 || strings.ContainsAny(n.FileName(), "/\\") {
			t.Errorf("%q becomes the file %q", s, n.FileName())
		}
	}
	for _, s := range []string{
		"", ":", "a:", ":b", "..", ".", "../a", "a/../b", "a..b", "/etc/passwd", "a//b", "a/", "/a",
		"-rf", "a:-x", "a/.hidden", "a b", "a\x00b", "a\nb", `a\b`,
		"a@b", "a+b", "ä", "a:b:c/d", "a:b/c", "a/b/c/d/e/f", strings.Repeat("x", 129),
		"a:" + strings.Repeat("x", 81), "a:..", "host:5000/a",
		"con", "NUL", "a/aux/b", "com1", "lpt9.x", "prn.gguf:x", "a:nul", "a.json", "a:b.json",
		"a:B.JSON", "a@b", "a:b@c",
	} {
		if n, err := ParseName(s); !errors.Is(err, ErrName) {
			t.Errorf("%q is taken for %q, %v", s, n, err)
		}
	}
}

func TestManifestFilesOfOtherNamesAreNone(t *testing.T) {
	for _, file := range []string{"a.json", "a@b", "a@b.json.tmp", "@b.json", "a@.json",
		"a++b@c.json", "a@b@c.json", "..@x.json", ".a@b.json"} {
		if n, err := nameOfFile(file); err == nil {
			t.Errorf("%q is the manifest of %q", file, n)
		}
	}
}

func TestSuggestedNamesAreThoseOfFiles(t *testing.T) {
	for file, want := range map[string]string{
		"Llava v1.5 7B-Q4_K_M.gguf":        "llava-v1.5-7b-q4_k_m:latest",
		"big-00001-of-00003.gguf":          "big:latest",
		"_x..y_.GGUF":                      "x.y:latest",
		"SmolVLM2-2.2B-Instruct-Q8_0.gguf": "smolvlm2-2.2b-instruct-q8_0:latest",
	} {
		if n, err := SuggestName(file); err != nil || n.String() != want {
			t.Errorf("%q: %q, %v; want %q", file, n, err, want)
		}
	}
	if n, err := SuggestName("日本.gguf"); err == nil {
		t.Errorf("a name of no letters: %q", n)
	}
}

func TestDigests(t *testing.T) {
	// The SHA-256 of nothing, from FIPS 180-4's examples.
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if d := DigestOf(nil); string(d) != "sha256:"+empty || d.FileName() != "sha256-"+empty ||
		d.Short() != "e3b0c44298fc" {
		t.Errorf("%q, %q, %q", d, d.FileName(), d.Short())
	}
	for _, s := range []string{"sha256:" + empty, "sha256-" + empty} {
		if d, err := ParseDigest(s); err != nil || string(d) != "sha256:"+empty {
			t.Errorf("%q: %q, %v", s, d, err)
		}
	}
	for _, s := range []string{"", empty, "sha256:", "sha256:" + empty[1:],
		"sha256:" + strings.ToUpper(empty), "sha512:" + empty, "sha256:../../" + empty[6:],
		"sha256:" + empty + "0"} {
		if _, err := ParseDigest(s); !errors.Is(err, ErrManifest) {
			t.Errorf("%q is taken: %v", s, err)
		}
	}
}
