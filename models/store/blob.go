package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// HasBlob reports whether the store holds a blob.
func (s *Store) HasBlob(d Digest) bool {
	return d.valid() && s.hasBlob(d, -1)
}

// hasBlob reports whether a blob is there, with the given size if that is not negative.
func (s *Store) hasBlob(d Digest, size int64) bool {
	info, err := os.Lstat(s.blobPath(d))
	return err == nil && info.Mode().IsRegular() && (size < 0 || info.Size() == size)
}

// OpenBlob opens a blob for reading. A blob that is not there gives ErrMissing.
func (s *Store) OpenBlob(d Digest) (*os.File, error) {
	if !d.valid() {
		return nil, fmt.Errorf("store: %w: %.100q is no digest", ErrMissing, d)
	}
	f, err := os.Open(s.blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w: %s", ErrMissing, d)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return f, nil
}

// PutBlob stores what r holds if its SHA-256 is d, in a session of its own; else nothing is left
// and the error wraps ErrDigest. Nobody sees the blob before it has been checked and is on the
// disk.
func (s *Store) PutBlob(ctx context.Context, d Digest, r io.Reader) error {
	t, err := s.Begin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(t.PutBlob(ctx, d, r), t.Close())
}

// AddBlob stores what r holds, in a session of its own, and returns its digest.
func (s *Store) AddBlob(ctx context.Context, r io.Reader) (Digest, error) {
	t, err := s.Begin(ctx)
	if err != nil {
		return "", err
	}
	d, err := t.write(ctx, r, "", maxTotalBytes, nil)
	return d.Digest, errors.Join(err, t.Close())
}

// PutBlob is [Store.PutBlob] in this session.
func (t *Session) PutBlob(ctx context.Context, d Digest, r io.Reader) error {
	if !d.valid() {
		return fmt.Errorf("store: %w: %.100q is no digest", ErrDigest, d)
	}
	_, err := t.write(ctx, r, d, maxTotalBytes, nil)
	return err
}

// AddFile copies a file into the store and returns what refers to it. progress, which may be nil,
// is told of bytes as they are copied.
func (t *Session) AddFile(ctx context.Context, path, mediaType string,
	progress func(n int64)) (Descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return Descriptor{}, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	d, err := t.write(ctx, f, "", maxTotalBytes, progress)
	if err != nil {
		return Descriptor{}, fmt.Errorf("%w (copying %s)", err, path)
	}
	d.MediaType = mediaType
	return d, nil
}

// AddBytes stores bytes and returns what refers to them.
func (t *Session) AddBytes(ctx context.Context, data []byte, mediaType string) (Descriptor, error) {
	d, err := t.write(ctx, bytes.NewReader(data), DigestOf(data), int64(len(data)), nil)
	d.MediaType = mediaType
	return d, err
}

// write stores what r holds, under want or, if that is empty, under whatever digest it has.
func (t *Session) write(ctx context.Context, r io.Reader, want Digest, limit int64,
	progress func(n int64)) (d Descriptor, err error) {
	path := t.s.tempName()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return d, fmt.Errorf("store: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close() // may be the second time, which is harmless
			os.Remove(path)
		}
	}()
	h := sha256.New()
	n, err := copyHashed(ctx, f, h, r, limit, progress)
	if err != nil {
		return d, fmt.Errorf("store: %w", err)
	}
	d = Descriptor{Digest: digestOfSum(h.Sum(nil)), Size: n}
	if want != "" && d.Digest != want {
		return d, fmt.Errorf("store: %w: %d bytes have the digest %s, %s was promised", ErrDigest,
			n, d.Digest, want)
	}
	if t.s.hasBlob(d.Digest, n) {
		return d, errors.Join(f.Close(), os.Remove(path))
	}
	return d, t.commit(f, path, d.Digest)
}

// commit makes a complete file a blob.
func (t *Session) commit(f *os.File, path string, d Digest) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := os.Rename(path, t.s.blobPath(d)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	t.added = append(t.added, d)
	if err := atomicfile.SyncFolder(t.s.dir("blobs")); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Receive stores a blob of known digest and size that comes from a source which can begin anywhere:
// an interrupted attempt leaves what it had, and the next one goes on from there. open returns a
// reader of the blob from an offset, which is 0 or what an attempt before left. It is called again
// with 0 if the whole turns out wrong, lest an old part spoils it for ever. Errors wrap ErrDigest
// if the source is at fault. Another process that receives the same blob is waited for. progress
// may be nil.
func (t *Session) Receive(ctx context.Context, d Descriptor,
	open func(offset int64) (io.ReadCloser, error), progress func(n int64)) error {
	if !d.Digest.valid() || d.Size < 0 {
		return fmt.Errorf("store: %w: %.100q of %d bytes", ErrDigest, d.Digest, d.Size)
	}
	l := t.s.partLock(d.Digest)
	if _, err := l.TryLockContext(ctx, lockPause); err != nil {
		return fmt.Errorf("store: locking a partial blob: %w", err)
	}
	defer l.Close()
	if t.s.hasBlob(d.Digest, d.Size) {
		if progress != nil {
			progress(d.Size)
		}
		return nil
	}
	t.tried = append(t.tried, d.Digest)
	resumed, err := t.receive(ctx, d, open, progress)
	if resumed && errors.Is(err, ErrDigest) {
		if progress != nil {
			progress(-d.Size)
		}
		_, err = t.receive(ctx, d, open, progress)
	}
	if err == nil {
		// Whoever waits for this lock, or makes it anew, finds the blob: it cannot be removed while
		// their sessions are open.
		_ = os.Remove(l.Path())
	}
	return err
}

// receive makes one attempt and reports whether it went on from an older one. A part that cannot
// become the blob is removed.
func (t *Session) receive(ctx context.Context, d Descriptor,
	open func(int64) (io.ReadCloser, error), progress func(int64)) (resumed bool, err error) {
	path := t.s.partialPath(d.Digest)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	short := false // what is there may be a true beginning
	defer func() {
		f.Close() // after commit the second time, which is harmless
		if errors.Is(err, ErrDigest) && !short {
			os.Remove(path)
		}
	}()
	h := sha256.New()
	had, err := rehash(ctx, f, h, d.Size, progress)
	if err != nil {
		return false, fmt.Errorf("store: %w", err)
	}
	r, err := open(had)
	if err != nil {
		return had > 0, err
	}
	defer r.Close()
	n, err := copyHashed(ctx, f, h, r, d.Size-had, progress)
	switch {
	case err != nil:
		return had > 0, fmt.Errorf("store: blob %s: %w", d.Digest.Short(), err)
	case had+n != d.Size:
		short = true
		return had > 0, fmt.Errorf("store: %w: blob %s has %d bytes, %d were promised", ErrDigest,
			d.Digest.Short(), had+n, d.Size)
	}
	if got := digestOfSum(h.Sum(nil)); got != d.Digest {
		return had > 0, fmt.Errorf("store: %w: the bytes of %s have the digest %s", ErrDigest,
			d.Digest, got)
	}
	return had > 0, t.commit(f, path, d.Digest)
}

// rehash feeds what is in a partial file to h and leaves the file at its end. What can be no
// beginning of size bytes is cut off.
func rehash(ctx context.Context, f *os.File, h hash.Hash, size int64, progress func(int64)) (int64,
	error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() > size {
		return 0, f.Truncate(0)
	}
	return feed(ctx, f, h, progress)
}

// feed reads a file to its end into h, and returns how many bytes there were.
func feed(ctx context.Context, f *os.File, h hash.Hash, progress func(int64)) (total int64,
	err error) {
	buf := make([]byte, copyChunk)
	for ctx.Err() == nil {
		n, err := f.Read(buf)
		h.Write(buf[:n])
		total += int64(n)
		if progress != nil {
			progress(int64(n))
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
	return total, ctx.Err()
}

// removePartial removes what an attempt at a blob left, unless somebody is at it.
func (s *Store) removePartial(d Digest) {
	l := s.partLock(d)
	if ok, err := l.TryLock(); err != nil || !ok {
		return
	}
	defer l.Close()
	_ = os.Remove(s.partialPath(d))
}

// HashFile returns the digest of a file's contents. progress, which may be nil, is told of bytes as
// they are read.
func HashFile(ctx context.Context, path string, progress func(int64)) (Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := feed(ctx, f, h, progress); err != nil {
		return "", err
	}
	return digestOfSum(h.Sum(nil)), nil
}

// readSmall returns a blob that is text, whole. It does not believe the disk: the bytes must have
// the digest.
func readSmall(path string, d Descriptor) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w: %s", ErrMissing, d.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSmallBlob+1))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if DigestOf(data) != d.Digest {
		return nil, fmt.Errorf("store: %w: %s", ErrDigest, path)
	}
	return data, nil
}
