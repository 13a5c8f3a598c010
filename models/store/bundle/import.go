package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
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

// importer is an import under way. What is wrong with a bundle, or with its medium, travels as a
// panic as far as Import.
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
	err := fault.Try(func() {
		im.survey(im.begin())
		if o.Begin != nil {
			o.Begin(im.index)
		}
		im.checkNames()
	})
	if err != nil {
		return nil, err
	}
	if im.session, err = s.Begin(ctx); err != nil {
		return nil, err
	}
	err = fault.Try(func() { im.readAll(ctx) })
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

// refuse ends the import of a bundle that is not what it has to be.
func refuse(format string, args ...any) {
	panic(fault.New("bundle: %w: "+format, append([]any{ErrBundle}, args...)...))
}

// header reads the header of the next member.
func (im *importer) header() (path string, size int64) {
	path, size, err := readHeader(im.src)
	fault.Check(err)
	return path, size
}

// read fills data with what comes next.
func (im *importer) read(data []byte) {
	if _, err := io.ReadFull(im.src, data); err != nil {
		panic(fault.Of(truncated(err)))
	}
}

// seek goes to an offset in the bundle.
func (im *importer) seek(offset int64) {
	if err := im.src.seekTo(offset); err != nil {
		panic(fault.Of(truncated(err)))
	}
}

// begin reads the index and its signature, and returns the bytes that the bundle must have.
func (im *importer) begin() (total int64) {
	policy, err := im.s.Policy()
	fault.Check(err)
	keys, demand, err := signers(policy, im.o.Keys)
	fault.Check(err)
	path, size := im.header()
	if path != indexName || size > maxIndex {
		refuse("it begins with %.200q of %d bytes, not with its index", path, size)
	}
	data := im.small(size)
	signature, n := im.signature()
	total = memberSize(size) + 2*blockSize + n
	im.result.Signed = signature != nil
	im.result.Signer, err = checkSignature(data, signature, keys, demand)
	fault.Check(err)
	im.index, err = parseIndex(data)
	fault.Check(err)
	for _, f := range im.index.Files {
		total += memberSize(f.Size)
	}
	im.result.Program = im.index.Program
	return total
}

// signature reads the signature if that comes next, and the bytes that it takes in the bundle.
func (im *importer) signature() (data []byte, n int64) {
	start := im.src.offset
	block := make([]byte, blockSize)
	im.read(block)
	path, size, err := readHeader(bytes.NewReader(block))
	fault.Check(err)
	if path != signatureName {
		im.src.unread(start, block)
		return nil, 0
	}
	if size > maxSignature {
		refuse("a signature of %d bytes", size)
	}
	return im.small(size), memberSize(size)
}

// small reads a member of few bytes and its padding.
func (im *importer) small(size int64) []byte {
	data := make([]byte, size)
	im.read(data)
	if _, err := io.CopyN(io.Discard, im.src, padding(size)); err != nil {
		fault.Check(truncated(err))
	}
	return data
}

// survey compares all headers of the tar with the index before anything is written, unless the
// bundle is a stream, and its size with what total promises.
func (im *importer) survey(total int64) {
	if im.src.stream != nil {
		return
	}
	fault.Check(im.src.checkVolumes(im.index, total))
	begin := im.src.offset
	for i := range im.index.Files {
		f := &im.index.Files[i]
		im.checkHeader(f)
		im.seek(im.src.offset + f.Size + padding(f.Size))
	}
	im.readEnd()
	clear(im.seen)
	fault.Check(im.src.seekTo(begin))
}

// checkNames finds names that are taken before anything is read.
func (im *importer) checkNames() {
	for _, e := range im.index.Models {
		m, err := im.s.Find(e.manifest.String())
		if err == nil && m.Source == store.SourceStore && m.Digest != e.Digest && !im.o.Replace {
			panic(fault.New("bundle: %w: %s is %s in the store, %s in the bundle",
				store.ErrExists, e.manifest, m.Digest.Short(), e.Digest.Short()))
		}
	}
}

// readAll goes through the members and names the models.
func (im *importer) readAll(ctx context.Context) {
	checked := false
	for i := range im.index.Files {
		f := &im.index.Files[i]
		if f.Kind != kindManifest && !checked {
			checked = true
			im.checkNeeds()
		}
		im.readMember(ctx, f)
	}
	if !checked {
		im.checkNeeds()
	}
	im.readEnd()
	for _, e := range im.index.Models {
		m, err := im.session.Create(e.manifest, im.raw[manifestDir+e.manifest.FileName()],
			im.o.Replace)
		fault.Check(err)
		im.result.Models = append(im.result.Models, m)
	}
}

// checkHeader holds the header of the next member to what the index says of it.
func (im *importer) checkHeader(f *File) {
	path, size := im.header()
	switch {
	case im.seen[path]:
		refuse("%q comes twice", path)
	case path == "":
		refuse("it ends before %q", f.Path)
	case path != f.Path:
		refuse("%.200q is not what its index lists here, %q", path, f.Path)
	case size != f.Size:
		refuse("%q has %d bytes, its index says %d", path, size, f.Size)
	}
	im.seen[path] = true
}

// readMember takes the next member in.
func (im *importer) readMember(ctx context.Context, f *File) {
	fault.Check(ctx.Err())
	im.checkHeader(f)
	start := im.src.offset
	switch f.Kind {
	case kindManifest:
		im.readManifest(f)
	case kindBlob:
		fault.Check(im.readBlob(ctx, f, start))
	default:
		im.readOther(ctx, f)
	}
	im.seek(start + f.Size + padding(f.Size))
}

func (im *importer) readManifest(f *File) {
	data := make([]byte, f.Size)
	im.read(data)
	if got := store.DigestOf(data); got != f.Digest {
		refuse("%w: %q has the digest %s", store.ErrDigest, f.Path, got)
	}
	m, err := store.ParseManifest(data)
	if err != nil {
		panic(fault.New("%w (%s)", err, f.Path))
	}
	for _, d := range m.Blobs() {
		if n, ok := im.needed[d.Digest]; ok && n != d.Size {
			refuse("two manifests give %s two sizes", d.Digest.Short())
		}
		im.needed[d.Digest] = d.Size
	}
	im.raw[f.Path] = data
}

// checkNeeds compares what the manifests want with what the bundle and the store have, and what is
// to be written with the space there is.
func (im *importer) checkNeeds() {
	var blobs []store.Descriptor
	there := map[store.Digest]bool{}
	for _, f := range im.index.Files {
		if f.Kind != kindBlob {
			continue
		}
		size, ok := im.needed[f.Digest]
		if !ok {
			refuse("no manifest needs %q", f.Path)
		}
		if size != f.contentSize() {
			refuse("%q holds %d bytes, the manifest says %d", f.Path, f.contentSize(), size)
		}
		if there[f.Digest] {
			refuse("the contents of %q come twice", f.Path)
		}
		there[f.Digest] = true
		blobs = append(blobs, store.Descriptor{Digest: f.Digest, Size: size})
	}
	for d, size := range im.needed {
		if !there[d] && !im.session.Has(store.Descriptor{Digest: d, Size: size}) {
			refuse("%w: %s of %d bytes is neither in it nor in the store", store.ErrMissing, d,
				size)
		}
	}
	fault.Check(im.session.Room(blobs))
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
func (im *importer) readOther(ctx context.Context, f *File) {
	h := sha256.New()
	_, err := io.Copy(h, contextReader{ctx, &whole{io.LimitedReader{R: im.src, N: f.Size}}})
	fault.Check(err)
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != string(f.Digest) {
		refuse("%w: %q has the digest %s", store.ErrDigest, f.Path, got)
	}
}

// readEnd wants the two zero blocks that end a tar, and nothing behind them.
func (im *importer) readEnd() {
	for range 2 {
		path, _ := im.header()
		if im.seen[path] {
			refuse("%q comes twice", path)
		}
		if path != "" {
			refuse("%.200q is not in its index", path)
		}
	}
	if n, err := im.src.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		refuse("something follows its end")
	}
}
