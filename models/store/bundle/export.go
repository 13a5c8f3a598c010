package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Document is a file of text beside the models, as a bill of materials.
type Document struct {
	Path string // as "sbom.spdx.json"
	Data []byte
}

// ExportOptions say what a bundle holds. Models or Program must be there.
type ExportOptions struct {
	Models     []*store.Model
	Program    *Folder    // nil for models alone
	Documents  []Document // in the order in which they are written
	Key        *SecretKey // signs the bundle; nil for an unsigned one
	VolumeSize int64      // bytes of a volume; 0 for one file
	// pack nothing with zstd; so it is with a program, whose models must run where tar unpacks them
	Plain    bool
	Progress func(int64) // is told of bytes as they are written; may be nil
}

// member is a file of the bundle that is being made.
type member struct {
	File
	open func() (io.ReadCloser, error)
}

func openFile(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

func openBytes(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func digestOf(h hash.Hash) store.Digest {
	return store.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// Export writes a bundle to path, or in volumes to path.001 and so on. The files appear under their
// names when all are complete. It returns them. Every file of a model is compared with its digest
// on the way: a damaged store makes no bundle.
func Export(ctx context.Context, path string, o ExportOptions) ([]string, error) {
	if err := atomicfile.Check(path); err != nil && o.VolumeSize == 0 {
		return nil, fmt.Errorf("bundle: %w", err) // before gigabytes are read
	}
	scratch, err := os.MkdirTemp(filepath.Dir(path), ".eyelet-export-*")
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return nil, fmt.Errorf("bundle: %w", &fs.PathError{Op: "create", Path: path, Err: err})
	}
	defer os.RemoveAll(scratch)
	index, members, err := o.plan(ctx, scratch)
	if err != nil {
		return nil, err
	}
	w := &volumeWriter{path: path, scratch: scratch, limit: o.VolumeSize}
	if err := o.write(ctx, w, index, members); err != nil {
		w.abort()
		return nil, err
	}
	return w.finish(ctx, o.wholeKey())
}

// wholeKey is the key that signs the file as a whole too: only minisign and tar read a bundle on a
// machine that has no Eyelet yet.
func (o *ExportOptions) wholeKey() *SecretKey {
	if o.Program == nil {
		return nil
	}
	return o.Key
}

// ExportStream writes a bundle to a stream.
func ExportStream(ctx context.Context, w io.Writer, o ExportOptions) error {
	scratch, err := os.MkdirTemp("", "eyelet-export-*")
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	defer os.RemoveAll(scratch)
	index, members, err := o.plan(ctx, scratch)
	if err != nil {
		return err
	}
	return o.write(ctx, w, index, members)
}

// plan lists what will be written. What is packed is packed into scratch first, since the index
// must know its size.
func (o *ExportOptions) plan(ctx context.Context, scratch string) (*Index, []member, error) {
	index := &Index{Format: formatName, Version: formatVersion, VolumeSize: o.VolumeSize,
		Models: []Entry{}}
	var manifests, blobs []member
	seen := map[store.Digest]bool{}
	names := map[store.Name]bool{}
	for _, m := range o.Models {
		if err := m.Complete(); err != nil {
			return nil, nil, err
		}
		if names[m.Name] {
			continue
		}
		names[m.Name] = true
		index.Models = append(index.Models, Entry{Name: m.Name.String(), Digest: m.Digest,
			Size: m.Manifest.Size(), Origin: m.Manifest.Describe()})
		manifests = append(manifests, member{
			File: File{Path: manifestDir + m.Name.FileName(), Kind: kindManifest,
				Size: int64(len(m.Raw())), Digest: m.Digest}, open: openBytes(m.Raw()),
		})
		for _, d := range m.Manifest.Blobs() {
			if seen[d.Digest] {
				continue
			}
			seen[d.Digest] = true
			blob, err := o.blob(ctx, m, d, scratch)
			if err != nil {
				return nil, nil, err
			}
			blobs = append(blobs, blob)
		}
	}
	members := append(manifests, blobs...)
	if o.Program != nil {
		index.Program = &o.Program.Program
		program, err := o.Program.describe(ctx)
		if err != nil {
			return nil, nil, err
		}
		members = append(members, program...)
	}
	for _, d := range o.Documents {
		members = append(members, member{File: File{Path: d.Path, Kind: kindDocument,
			Size: int64(len(d.Data)), Digest: store.DigestOf(d.Data)}, open: openBytes(d.Data)})
	}
	for _, m := range members {
		index.Files = append(index.Files, m.File)
	}
	if len(members) == 0 {
		return nil, nil, errors.New("bundle: there is nothing to put into it")
	}
	if err := index.check(); err != nil {
		return nil, nil, fmt.Errorf("bundle: it cannot be made: %w", err)
	}
	return index, members, nil
}

// blob decides how a file of a model travels.
func (o *ExportOptions) blob(ctx context.Context, m *store.Model, d store.Descriptor,
	scratch string) (member, error) {
	path, err := m.BlobPath(d)
	if err != nil {
		return member{}, err
	}
	plain := member{File: File{Path: blobDir + d.Digest.FileName(), Kind: kindBlob, Size: d.Size,
		Digest: d.Digest}, open: openFile(path)}
	if o.Plain || o.Program != nil {
		return plain, nil
	}
	packed, size, err := pack(ctx, path, d.Digest, scratch)
	if err != nil {
		return member{}, err
	}
	if packed == "" {
		return plain, nil
	}
	f := File{Path: packedDir + d.Digest.FileName() + packedSuffix, Kind: kindBlob, Size: size,
		Digest: d.Digest, Encoding: encodingZstd, Unpacked: d.Size}
	return member{File: f, open: openFile(packed)}, nil
}

// write writes index, signature and members.
func (o *ExportOptions) write(ctx context.Context, w io.Writer, index *Index,
	members []member) error {
	data, err := json.MarshalIndent(index, "", " ")
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if len(data) > maxIndex {
		return fmt.Errorf("bundle: an index of %d bytes, more than %d", len(data), maxIndex)
	}
	head := []member{{File: File{Path: indexName, Size: int64(len(data)),
		Digest: store.DigestOf(data)}, open: openBytes(data)}}
	if o.Key != nil {
		signature, err := sign(*o.Key, bytes.NewReader(data), "index of an eyelet bundle")
		if err != nil {
			return err
		}
		head = append(head, member{File: File{Path: signatureName, Size: int64(len(signature)),
			Digest: store.DigestOf(signature)}, open: openBytes(signature)})
	}
	for _, m := range append(head, members...) {
		if err := writeMember(ctx, w, m, o.Progress); err != nil {
			return err
		}
	}
	if _, err := w.Write(make([]byte, 2*blockSize)); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

// damaged is the error of a file that does not have the digest by which it is known.
func damaged(path string, got store.Digest) error {
	return fmt.Errorf("bundle: %w: %s is damaged: its digest is %s", store.ErrDigest, path, got)
}

// writeMember writes one file, and holds it to its digest. What is packed was, when it was packed.
func writeMember(ctx context.Context, w io.Writer, m member, progress func(int64)) error {
	h, err := header(m.Path, m.Size, m.Executable)
	if err != nil {
		return err
	}
	if _, err := w.Write(h); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	r, err := m.open()
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	defer r.Close()
	sum := sha256.New()
	buf := make([]byte, 1<<20)
	var n int64
	for n < m.Size {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		k, err := r.Read(buf[:min(int64(len(buf)), m.Size-n)])
		sum.Write(buf[:k])
		n += int64(k)
		if _, err := w.Write(buf[:k]); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
		if progress != nil {
			progress(int64(k))
		}
		if err != nil && (err != io.EOF || n < m.Size) {
			return fmt.Errorf("bundle: %s: %w", m.Path, err)
		}
	}
	if got := digestOf(sum); m.Encoding == "" && got != m.Digest {
		return damaged(m.Path, got)
	}
	if _, err := w.Write(make([]byte, padding(m.Size))); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}
