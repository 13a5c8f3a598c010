package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/eyelet-engine/eyelet/models/store"
)

// ImportOptions are the options of Import.
type ImportOptions struct {
	// one of which must have signed the bundle; none leaves that to the store's policy
	Keys     []PublicKey
	Replace  bool          // names that are taken stand for the new models from then on
	Begin    func(*Index)  // is called when the index has been accepted; may be nil
	Progress func(n int64) // is told of bytes of models as they are checked; may be nil
}

// Result is what came into the store.
type Result struct {
	Models  []*store.Model
	Program *Program   // that the bundle carries too; it is not installed
	Signer  *PublicKey // whose signature was checked, nil for none
	Signed  bool       // there is a signature, checked or not
}

// importer is an import under way.
type importer struct {
	src     *Source
	o       ImportOptions
	s       *store.Store
	session *store.Session
	index   *Index
	result  *Result

	raw    map[string][]byte      // manifests by their path
	needed map[store.Digest]int64 // blobs that the manifests want, and their sizes
	seen   map[string]bool        // members that were passed
}

// Import brings the models of a bundle into a store: all of them, under their names, or none.
// Errors that wrap ErrBundle, ErrSignature or those of package store mean that the bundle was
// refused and nothing is left of it. After any other, an interruption or a medium that cannot be
// read, the files that were complete stay, and a part of the next one, for another attempt to go on
// from.
func Import(ctx context.Context, s *store.Store, src *Source, o ImportOptions) (*Result, error) {
	im := &importer{src: src, o: o, s: s, result: &Result{}, raw: map[string][]byte{},
		needed: map[store.Digest]int64{}, seen: map[string]bool{}}
	total, err := im.begin()
	if err != nil {
		return nil, err
	}
	if err := im.survey(total); err != nil {
		return nil, err
	}
	if o.Begin != nil {
		o.Begin(im.index)
	}
	if err := im.checkNames(); err != nil {
		return nil, err
	}
	if im.session, err = s.Begin(ctx); err != nil {
		return nil, err
	}
	err = im.readAll(ctx)
	if err != nil && im.refused(err) {
		return nil, errors.Join(err, im.session.Discard())
	}
	if err = errors.Join(err, im.session.Close()); err != nil {
		return nil, err
	}
	return im.result, nil
}

// refused reports whether an error is the bundle's fault.
func (im *importer) refused(err error) bool {
	for _, target := range []error{ErrBundle, ErrSignature, store.ErrSpace, store.ErrDigest,
		store.ErrManifest, store.ErrMissing, store.ErrExists, store.ErrName} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// begin reads the index and its signature, and returns the bytes that the bundle must have.
func (im *importer) begin() (total int64, err error) {
	policy, err := im.s.Policy()
	if err != nil {
		return 0, err
	}
	keys, demand, err := signers(policy, im.o.Keys)
	if err != nil {
		return 0, err
	}
	path, size, err := readHeader(im.src)
	if err != nil {
		return 0, err
	}
	if path != indexName || size > maxIndex {
		return 0, fmt.Errorf("bundle: %w: it begins with %.200q of %d bytes, not with its index",
			ErrBundle, path, size)
	}
	data, err := im.small(size)
	if err != nil {
		return 0, err
	}
	total = memberSize(size) + 2*blockSize
	signature, n, err := im.signature()
	if err != nil {
		return 0, err
	}
	total += n
	im.result.Signed = signature != nil
	if im.result.Signer, err = checkSignature(data, signature, keys, demand); err != nil {
		return 0, err
	}
	if im.index, err = parseIndex(data); err != nil {
		return 0, err
	}
	for _, f := range im.index.Files {
		total += memberSize(f.Size)
	}
	im.result.Program = im.index.Program
	return total, nil
}

// signature reads the signature if that comes next, and the bytes that it takes in the bundle.
func (im *importer) signature() (data []byte, n int64, err error) {
	start := im.src.offset
	block := make([]byte, blockSize)
	if _, err := io.ReadFull(im.src, block); err != nil {
		return nil, 0, truncated(err)
	}
	path, size, err := readHeader(newBlockReader(block))
	if err != nil {
		return nil, 0, err
	}
	if path != signatureName {
		im.src.unread(start, block)
		return nil, 0, nil
	}
	if size > maxSignature {
		return nil, 0, fmt.Errorf("bundle: %w: a signature of %d bytes", ErrBundle, size)
	}
	data, err = im.small(size)
	return data, memberSize(size), err
}

// small reads a member of few bytes and its padding.
func (im *importer) small(size int64) ([]byte, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(im.src, data); err != nil {
		return nil, truncated(err)
	}
	return data, skipTo(im.src, padding(size))
}

// survey compares all headers of the tar with the index before anything is written, unless the
// bundle is a stream, and its size with what total promises.
func (im *importer) survey(total int64) error {
	if im.src.stream != nil {
		return nil
	}
	if err := im.src.checkVolumes(im.index, total); err != nil {
		return err
	}
	begin := im.src.offset
	for i := range im.index.Files {
		f := &im.index.Files[i]
		if err := im.checkHeader(f); err != nil {
			return err
		}
		if err := im.src.seekTo(im.src.offset + f.Size + padding(f.Size)); err != nil {
			return truncated(err)
		}
	}
	if err := im.readEnd(); err != nil {
		return err
	}
	clear(im.seen)
	return im.src.seekTo(begin)
}

// checkNames finds names that are taken before anything is read.
func (im *importer) checkNames() error {
	for _, e := range im.index.Models {
		m, err := im.s.Find(e.manifest.String())
		if err == nil && m.Source == store.SourceStore && m.Digest != e.Digest && !im.o.Replace {
			return fmt.Errorf("bundle: %w: %s is %s in the store, %s in the bundle",
				store.ErrExists, e.manifest, m.Digest.Short(), e.Digest.Short())
		}
	}
	return nil
}

// readAll goes through the members and names the models.
func (im *importer) readAll(ctx context.Context) error {
	checked := false
	for i := range im.index.Files {
		f := &im.index.Files[i]
		if f.Kind != kindManifest && !checked {
			checked = true
			if err := im.checkNeeds(); err != nil {
				return err
			}
		}
		if err := im.readMember(ctx, f); err != nil {
			return err
		}
	}
	if !checked {
		if err := im.checkNeeds(); err != nil {
			return err
		}
	}
	if err := im.readEnd(); err != nil {
		return err
	}
	for _, e := range im.index.Models {
		m, err := im.session.Create(e.manifest, im.raw[manifestDir+e.manifest.FileName()],
			im.o.Replace)
		if err != nil {
			return err
		}
		im.result.Models = append(im.result.Models, m)
	}
	return nil
}

// checkHeader holds the header of the next member to what the index says of it.
func (im *importer) checkHeader(f *File) error {
	path, size, err := readHeader(im.src)
	if err != nil {
		return err
	}
	switch {
	case im.seen[path]:
		return fmt.Errorf("bundle: %w: %q comes twice", ErrBundle, path)
	case path == "":
		return fmt.Errorf("bundle: %w: it ends before %q", ErrBundle, f.Path)
	case path != f.Path:
		return fmt.Errorf("bundle: %w: %.200q is not what its index lists here, %q", ErrBundle,
			path, f.Path)
	case size != f.Size:
		return fmt.Errorf("bundle: %w: %q has %d bytes, its index says %d", ErrBundle, path, size,
			f.Size)
	}
	im.seen[path] = true
	return nil
}

// readMember takes the next member in.
func (im *importer) readMember(ctx context.Context, f *File) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := im.checkHeader(f)
	if err != nil {
		return err
	}
	start := im.src.offset
	switch f.Kind {
	case kindManifest:
		err = im.readManifest(f)
	case kindBlob:
		err = im.readBlob(ctx, f, start)
	default:
		err = im.readOther(ctx, f)
	}
	if err != nil {
		return err
	}
	if err := im.src.seekTo(start + f.Size + padding(f.Size)); err != nil {
		return truncated(err)
	}
	return nil
}

func (im *importer) readManifest(f *File) error {
	data := make([]byte, f.Size)
	if _, err := io.ReadFull(im.src, data); err != nil {
		return truncated(err)
	}
	if got := store.DigestOf(data); got != f.Digest {
		return fmt.Errorf("bundle: %w: %w: %q has the digest %s", ErrBundle, store.ErrDigest,
			f.Path, got)
	}
	m, err := store.ParseManifest(data)
	if err != nil {
		return fmt.Errorf("%w (%s)", err, f.Path)
	}
	for _, d := range m.Blobs() {
		if n, ok := im.needed[d.Digest]; ok && n != d.Size {
			return fmt.Errorf("bundle: %w: two manifests give %s two sizes", ErrBundle,
				d.Digest.Short())
		}
		im.needed[d.Digest] = d.Size
	}
	im.raw[f.Path] = data
	return nil
}

// checkNeeds compares what the manifests want with what the bundle and the store have, and what is
// to be written with the space there is.
func (im *importer) checkNeeds() error {
	var blobs []store.Descriptor
	there := map[store.Digest]bool{}
	for _, f := range im.index.Files {
		if f.Kind != kindBlob {
			continue
		}
		size, ok := im.needed[f.Digest]
		if !ok {
			return fmt.Errorf("bundle: %w: no manifest needs %q", ErrBundle, f.Path)
		}
		if size != f.contentSize() {
			return fmt.Errorf("bundle: %w: %q holds %d bytes, the manifest says %d", ErrBundle,
				f.Path, f.contentSize(), size)
		}
		if there[f.Digest] {
			return fmt.Errorf("bundle: %w: the contents of %q come twice", ErrBundle, f.Path)
		}
		there[f.Digest] = true
		blobs = append(blobs, store.Descriptor{Digest: f.Digest, Size: size})
	}
	for d, size := range im.needed {
		if !there[d] && !im.session.Has(store.Descriptor{Digest: d, Size: size}) {
			return fmt.Errorf("bundle: %w: %w: %s of %d bytes is neither in it nor in the store",
				ErrBundle, store.ErrMissing, d, size)
		}
	}
	return im.session.Room(blobs)
}

// readBlob stores a file of a model. What is there already is passed over.
func (im *importer) readBlob(ctx context.Context, f *File, start int64) error {
	d := store.Descriptor{Digest: f.Digest, Size: f.contentSize()}
	err := im.session.Receive(ctx, d, func(offset int64) (io.ReadCloser, error) {
		return im.openBlob(f, start, offset)
	}, im.o.Progress)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, store.ErrDigest): // what is damaged is the bundle, not the store
		return fmt.Errorf("bundle: %w: %w (%s)", ErrBundle, err, f.Path)
	default:
		return fmt.Errorf("%w (%s)", err, f.Path)
	}
}

// openBlob reads a member's contents from an offset.
func (im *importer) openBlob(f *File, start, offset int64) (io.ReadCloser, error) {
	if f.Encoding == "" {
		if err := im.src.seekTo(start + offset); err != nil {
			return nil, truncated(err)
		}
		return io.NopCloser(&whole{io.LimitedReader{R: im.src, N: f.Size - offset}}), nil
	}
	if err := im.src.seekTo(start); err != nil {
		return nil, truncated(err)
	}
	r, err := unpack(&whole{io.LimitedReader{R: im.src, N: f.Size}})
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		r.Close()
		return nil, fmt.Errorf("bundle: %w: unpacking %s: %w", ErrBundle, f.Path, err)
	}
	return unpacking{r, f.Path}, nil
}

// readOther checks what is not for the store: the program, documents.
func (im *importer) readOther(ctx context.Context, f *File) error {
	h := sha256.New()
	if _, err := io.Copy(h,
		contextReader{ctx, &whole{io.LimitedReader{R: im.src, N: f.Size}}}); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != string(f.Digest) {
		return fmt.Errorf("bundle: %w: %w: %q has the digest %s", ErrBundle, store.ErrDigest,
			f.Path, got)
	}
	return nil
}

// readEnd wants the two zero blocks that end a tar, and nothing behind them.
func (im *importer) readEnd() error {
	for range 2 {
		path, _, err := readHeader(im.src)
		if err != nil {
			return err
		}
		if im.seen[path] {
			return fmt.Errorf("bundle: %w: %q comes twice", ErrBundle, path)
		}
		if path != "" {
			return fmt.Errorf("bundle: %w: %.200q is not in its index", ErrBundle, path)
		}
	}
	if n, err := im.src.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return fmt.Errorf("bundle: %w: something follows its end", ErrBundle)
	}
	return nil
}
