package store

import (
	"context"
	"fmt"
	"hash"
	"io"
	"os"
)

const (
	copyChunk   = 1 << 20  // bytes read at a time
	flushStride = 32 << 20 // bytes after which the system is asked to begin writing
)

// copyHashed copies r to f and to h, which work at the same time on the same chunk while the next
// one is read. It returns the bytes written; errors of reading and writing are wrapped as they are.
// Where ctx is done while r waits for data, r has to notice too. progress may be nil.
func copyHashed(ctx context.Context, f *os.File, h hash.Hash, r io.Reader, limit int64,
	progress func(n int64)) (total int64, err error) {
	type chunk struct {
		buf []byte
		err error
	}
	full, empty := make(chan chunk, 2), make(chan []byte, 3)
	for range cap(empty) {
		empty <- make([]byte, copyChunk)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	defer func() {
		close(stop)
		<-ended // r is the caller's again
	}()
	go func() {
		defer close(ended)
		for {
			var buf []byte
			select {
			case buf = <-empty:
			case <-stop:
				return
			}
			n, err := fill(r, buf)
			select {
			case full <- chunk{buf[:n], err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	hashed := make(chan struct{})
	flushed := int64(0)
	for {
		var c chunk
		select {
		case c = <-full:
		case <-ctx.Done():
			return total, ctx.Err()
		}
		if int64(len(c.buf)) > limit-total {
			return total, fmt.Errorf("%w: more than %d bytes", ErrDigest, limit)
		}
		go func() { h.Write(c.buf); hashed <- struct{}{} }()
		n, writeErr := f.Write(c.buf)
		<-hashed
		total += int64(n)
		if progress != nil {
			progress(int64(n))
		}
		if writeErr != nil {
			return total, writeErr
		}
		if total-flushed >= flushStride {
			startFlush(f, flushed, total-flushed)
			flushed = total
		}
		if c.err == io.EOF {
			return total, nil
		}
		if c.err != nil {
			return total, c.err
		}
		empty <- c.buf[:cap(c.buf)]
	}
}

// fill reads until buf is full or r returns an error. io.ReadFull would call an end in the middle
// of buf, which is none of a source's faults, by the name that a connection has for breaking.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}
