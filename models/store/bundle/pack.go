package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/eyelet-engine/eyelet/models/store"
)

const (
	sampleSize  = 1 << 20
	sampleCount = 4
	minPacked   = 64 << 10 // bytes below which packing is not worth a second look
	maxWindow   = 8 << 20  // bytes that unpacking may take for its window
)

// pack compresses a file into scratch, and compares it with its digest. It returns "" where that
// would not save a tenth, by a few samples or in the end: weights of four bits hardly get smaller.
func pack(ctx context.Context, path string, want store.Digest,
	scratch string) (packed string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, fmt.Errorf("bundle: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", 0, fmt.Errorf("bundle: %w", err)
	}
	if info.Size() < minPacked {
		return "", 0, nil
	}
	worth, err := sample(f, info.Size())
	if err != nil || !worth {
		return "", 0, err
	}
	packed = filepath.Join(scratch, filepath.Base(path)+packedSuffix)
	out, err := os.OpenFile(packed, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", 0, fmt.Errorf("bundle: %w", err)
	}
	sum := sha256.New()
	size, err = compress(ctx, out, io.TeeReader(f, sum))
	if err = errors.Join(err, out.Close()); err != nil {
		return "", 0, fmt.Errorf("bundle: packing %s: %w", path, err)
	}
	if got := digestOf(sum); got != want {
		return "", 0, damaged(path, got)
	}
	if size > info.Size()/10*9 || info.Size()/maxRatio > size {
		return "", 0, os.Remove(packed)
	}
	return packed, size, nil
}

// sample reports whether parts of a file become a tenth smaller.
func sample(f *os.File, size int64) (bool, error) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		return false, fmt.Errorf("bundle: %w", err)
	}
	defer encoder.Close()
	var before, after int
	buf := make([]byte, min(sampleSize, size/sampleCount))
	for i := range int64(sampleCount) {
		n, err := f.ReadAt(buf, i*(size-int64(len(buf)))/(sampleCount-1))
		if err != nil && err != io.EOF {
			return false, fmt.Errorf("bundle: %w", err)
		}
		before, after = before+n, after+len(encoder.EncodeAll(buf[:n], nil))
	}
	return after < before/10*9, nil
}

func compress(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	counted := &counter{w: w}
	encoder, err := zstd.NewWriter(counted, zstd.WithWindowSize(maxWindow))
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(encoder, contextReader{ctx, r})
	err = errors.Join(err, encoder.Close())
	return counted.n, err
}

// unpack returns a reader of what a packed file holds.
func unpack(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecoderConcurrency(2))
	if err != nil {
		return nil, fmt.Errorf("bundle: %w: %w", ErrBundle, err)
	}
	return d.IOReadCloser(), nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// contextReader is a reader that fails once its context is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
