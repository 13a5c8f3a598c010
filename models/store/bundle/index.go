package bundle

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/models/store"
)

// Index lists what is in a bundle. It is the one file that is signed; the digests in it hold the
// rest.
type Index struct {
	Format  string   `json:"format"`  // "eyelet-bundle"
	Version int      `json:"version"` // 1
	Models  []Entry  `json:"models"`
	Program *Program `json:"program,omitempty"`
	// bytes of every volume but the last; 0 for a bundle in one file
	VolumeSize int64  `json:"volume_size,omitempty"`
	Files      []File `json:"files"` // in the order of the tar, manifests first
}

// Entry is a model of a bundle.
type Entry struct {
	Name   string       `json:"name"`
	Digest store.Digest `json:"digest"` // of the manifest
	// What people want to know before they import; the manifest decides.
	Size     int64             `json:"size"` // bytes of all its files
	Origin   map[string]string `json:"origin,omitempty"`
	manifest store.Name
}

// Program tells which program a bundle carries.
type Program struct {
	Version  string `json:"version"`
	Platform string `json:"platform"` // as "linux/amd64"
}

// Kinds of files.
const (
	kindManifest = "manifest"
	kindBlob     = "blob"
	kindProgram  = "program"
	kindDocument = "document"
)

// File is a member of the tar.
type File struct {
	Path       string       `json:"path"` // in the bundle's folder
	Kind       string       `json:"kind"`
	Size       int64        `json:"size"`               // bytes in the tar
	Digest     store.Digest `json:"digest"`             // of the contents, unpacked
	Encoding   string       `json:"encoding,omitempty"` // "zstd" for what is packed
	Unpacked   int64        `json:"unpacked,omitempty"` // bytes unpacked, of what is packed
	Executable bool         `json:"executable,omitempty"`
}

const (
	formatName    = "eyelet-bundle"
	formatVersion = 1
	encodingZstd  = "zstd"
)

// contentSize returns the bytes unpacked.
func (f *File) contentSize() int64 {
	if f.Encoding == encodingZstd {
		return f.Unpacked
	}
	return f.Size
}

// parseIndex reads an index and holds it to the rules. Errors wrap ErrBundle.
func parseIndex(data []byte) (*Index, error) {
	var x Index
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("bundle: %w: its index: %w", ErrBundle, err)
	}
	if err := x.check(); err != nil {
		return nil, fmt.Errorf("bundle: %w: %w", ErrBundle, err)
	}
	return &x, nil
}

func (x *Index) check() error {
	switch {
	case x.Format != formatName:
		return fmt.Errorf("its index is of the format %.100q", x.Format)
	case x.Version != formatVersion:
		return fmt.Errorf("its index is of version %d, this program knows %d", x.Version,
			formatVersion)
	case len(x.Files) > maxFiles:
		return fmt.Errorf("%d files, more than %d", len(x.Files), maxFiles)
	case x.VolumeSize != 0 && (x.VolumeSize < minVolume || x.VolumeSize > maxTotal):
		return fmt.Errorf("volumes of %d bytes", x.VolumeSize)
	}
	manifests := map[string]store.Digest{}
	seen := map[string]bool{indexName: true, signatureName: true}
	var total, manifestBytes int64
	blobs := false
	for i := range x.Files {
		f := &x.Files[i]
		if err := f.check(); err != nil {
			return err
		}
		if seen[strings.ToLower(f.Path)] {
			return fmt.Errorf("%q is listed twice", f.Path)
		}
		seen[strings.ToLower(f.Path)] = true
		// Both sizes count: what is packed may claim to unpack to little. Neither is more than
		// maxTotal, so that sums stay far below 1<<63.
		if total += max(f.Size, f.contentSize()); total > maxTotal {
			return fmt.Errorf("more than %d bytes", int64(maxTotal))
		}
		if f.Kind == kindManifest {
			manifestBytes += f.Size
		}
		if manifestBytes > maxManifests {
			return fmt.Errorf("manifests of more than %d bytes", maxManifests)
		}
		switch {
		case f.Kind != kindManifest:
			blobs = true
		case blobs:
			return fmt.Errorf("the manifest %q does not come first", f.Path)
		default:
			manifests[f.Path] = f.Digest
		}
	}
	return x.checkModels(manifests)
}

// checkModels wants one manifest for each model and none besides.
func (x *Index) checkModels(manifests map[string]store.Digest) error {
	for i := range x.Models {
		m := &x.Models[i]
		name, err := store.ParseName(m.Name)
		if err != nil {
			return err
		}
		if m.Size < 0 || m.Size > maxTotal {
			return fmt.Errorf("the model %s has a size of %d bytes", name, m.Size)
		}
		file := manifestDir + name.FileName()
		if digest, ok := manifests[file]; !ok || digest != m.Digest {
			return fmt.Errorf("the model %s has no manifest of its digest", name)
		}
		m.manifest = name
		delete(manifests, file)
	}
	for file := range manifests {
		return fmt.Errorf("%q is the manifest of no model, or of one that is listed twice", file)
	}
	return nil
}

// check holds one file to what its kind may be.
func (f *File) check() error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	if _, err := store.ParseDigest(string(f.Digest)); err != nil ||
		strings.HasPrefix(string(f.Digest), "sha256-") {
		return fmt.Errorf("%q has the digest %.100q", f.Path, f.Digest)
	}
	if f.Size < 0 || f.Size > maxTotal || f.Unpacked < 0 || f.Unpacked > maxTotal {
		return fmt.Errorf("%q has a size of %d bytes, unpacked %d", f.Path, f.Size, f.Unpacked)
	}
	want := ""
	switch {
	case f.Kind == kindManifest && f.Encoding == "":
		want = manifestDir + path.Base(f.Path)
		if f.Size > store.MaxManifest {
			return fmt.Errorf("the manifest %q has %d bytes", f.Path, f.Size)
		}
	case f.Kind == kindBlob && f.Encoding == "":
		want = blobDir + f.Digest.FileName()
	case f.Kind == kindBlob && f.Encoding == encodingZstd:
		want = packedDir + f.Digest.FileName() + packedSuffix
		if f.Unpacked/maxRatio > f.Size {
			return fmt.Errorf("%q would grow from %d bytes to %d, more than %d-fold", f.Path,
				f.Size, f.Unpacked, maxRatio)
		}
	case (f.Kind == kindProgram || f.Kind == kindDocument) && f.Encoding == "":
		if first, _, _ := strings.Cut(f.Path, "/"); first == "models" || first == "packed" {
			return fmt.Errorf("%q lies among the models", f.Path)
		}
		want = f.Path
	default:
		return fmt.Errorf("%q is of the kind %.100q and encoding %.100q", f.Path, f.Kind,
			f.Encoding)
	}
	if f.Path != want {
		return fmt.Errorf("%q lies at the wrong place", f.Path)
	}
	if f.Encoding == "" && f.Unpacked != 0 {
		return fmt.Errorf("%q is not packed and has another size unpacked", f.Path)
	}
	return nil
}

var pathPattern = regexp.MustCompile(`^[A-Za-z0-9_.+@=~-]+(/[A-Za-z0-9_.+@=~-]+)*$`)

// checkPath wants a plain relative path.
func checkPath(p string) error {
	switch {
	case strings.HasPrefix(p, "/"):
		return fmt.Errorf("%.200q is an absolute path", p)
	case strings.Contains("/"+p+"/", "/../"):
		return fmt.Errorf("%.200q leads out of its folder", p)
	case len(folder)+len(p) > maxPath:
		return fmt.Errorf("the path %.200q is too long", p)
	case !pathPattern.MatchString(p) || path.Clean(p) != p:
		return fmt.Errorf("%.200q is no path of a bundle", p)
	}
	return nil
}
