package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func randomBytes(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	return data
}

func TestABlobIsStoredOnlyIfItHasItsDigest(t *testing.T) {
	s := newStore(t)
	data := randomBytes(3<<20 + 17)
	d := DigestOf(data)
	wrong := bytes.Clone(data)
	wrong[len(wrong)-1] ^= 1
	for name, c := range map[string]struct {
		digest Digest
		r      io.Reader
		want   error
	}{
		"other bytes":        {d, bytes.NewReader(wrong), ErrDigest},
		"a byte less":        {d, bytes.NewReader(data[1:]), ErrDigest},
		"nothing":            {d, strings.NewReader(""), ErrDigest},
		"a digest of no use": {"sha256:../x", bytes.NewReader(data), ErrDigest},
		"a source that ends": {d, io.MultiReader(bytes.NewReader(data[:5]),
			iotest.ErrReader(io.ErrClosedPipe)), io.ErrClosedPipe},
	} {
		if err := s.PutBlob(t.Context(), c.digest, c.r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if s.HasBlob(d) || len(tree(t, s.dir("partial"))) > 0 {
			t.Errorf("%s: something was left", name)
		}
	}
	for range 2 { // the second time it is there already
		if err := s.PutBlob(t.Context(), d, iotest.HalfReader(bytes.NewReader(data))); err != nil ||
			!s.HasBlob(d) {
			t.Fatal(err)
		}
	}
	f, err := s.OpenBlob(d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d other bytes, %v", len(got), err)
	}
	mustBeWhole(t, s)
}

// interrupted gives n bytes of what it reads and then fails.
func interrupted(data []byte, n int64, offsets *[]int64) func(int64) (io.ReadCloser, error) {
	return func(offset int64) (io.ReadCloser, error) {
		*offsets = append(*offsets, offset)
		end := min(offset+n, int64(len(data)))
		r := io.Reader(bytes.NewReader(data[offset:end]))
		if end < int64(len(data)) {
			r = io.MultiReader(r, iotest.ErrReader(io.ErrUnexpectedEOF),
				iotest.ErrReader(io.ErrNoProgress))
		}
		return io.NopCloser(r), nil
	}
}

func TestAnInterruptedTransferGoesOn(t *testing.T) {
	s := newStore(t)
	data := randomBytes(5 << 20)
	d := Descriptor{Digest: DigestOf(data), Size: int64(len(data))}
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var offsets []int64
	ctx, cancel := context.WithCancel(t.Context())
	err = session.Receive(ctx, d, func(offset int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:2<<20]),
			iotest.ErrReader(io.ErrClosedPipe))), nil
	}, nil)
	cancel()
	if !errors.Is(err, io.ErrClosedPipe) || s.HasBlob(d.Digest) {
		t.Fatalf("the first attempt: %v", err)
	}
	var progress int64
	if err := session.Receive(t.Context(), d, interrupted(data, d.Size, &offsets), func(n int64) {
		progress += n
	}); err != nil {
		t.Fatal(err)
	}
	if len(offsets) != 1 || offsets[0] != 2<<20 || progress != d.Size {
		t.Errorf("the second attempt began at %v and told of %d bytes", offsets, progress)
	}
	mustBeWhole(t, s)
}

func TestAPartThatWasSpoiltIsReceivedAgain(t *testing.T) {
	s := newStore(t)
	data := randomBytes(3 << 20)
	d := Descriptor{Digest: DigestOf(data), Size: int64(len(data))}
	session, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	// other bytes, as after a crash of the machine; and too many
	for _, part := range [][]byte{make([]byte, 1<<20), make([]byte, 4<<20)} {
		if err := os.WriteFile(s.partialPath(d.Digest), part, 0o666); err != nil {
			t.Fatal(err)
		}
		var offsets []int64
		if err := session.Receive(t.Context(), d, interrupted(data, d.Size, &offsets),
			nil); err != nil {
			t.Fatal(err)
		}
		if offsets[len(offsets)-1] != 0 || !s.hasBlob(d.Digest, d.Size) {
			t.Errorf("began at %v", offsets)
		}
		if err := os.Remove(s.blobPath(d.Digest)); err != nil {
			t.Fatal(err)
		}
	}
	// A connection that breaks ends as its reader says, in the middle of a chunk too.
	err = session.Receive(t.Context(), d, func(int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:1<<20+5]),
			iotest.ErrReader(io.ErrUnexpectedEOF))), nil
	}, nil)
	if info, statErr := os.Stat(s.partialPath(d.Digest)); !errors.Is(err, io.ErrUnexpectedEOF) ||
		statErr != nil || info.Size() != 1<<20+5 {
		t.Errorf("%v, %v", err, statErr)
	}
	if err := os.Remove(s.partialPath(d.Digest)); err != nil {
		t.Fatal(err)
	}
	// A source that is wrong is an error, and leaves nothing.
	err = session.Receive(t.Context(), d, func(int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(make([]byte, len(data)))), nil
	}, nil)
	if _, statErr := os.Stat(s.partialPath(d.Digest)); !errors.Is(err, ErrDigest) ||
		statErr == nil {
		t.Errorf("%v, %v", err, statErr)
	}
}

func TestManyReceiveTheSameBlobAtOnce(t *testing.T) {
	s := newStore(t)
	data := randomBytes(2 << 20)
	d := Descriptor{Digest: DigestOf(data), Size: int64(len(data))}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var offsets []int64
	for range 8 {
		wg.Go(func() {
			session, err := s.Begin(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer session.Close()
			err = session.Receive(t.Context(), d, func(offset int64) (io.ReadCloser, error) {
				mu.Lock()
				defer mu.Unlock()
				offsets = append(offsets, offset)
				return io.NopCloser(bytes.NewReader(data[offset:])), nil
			}, nil)
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(offsets) != 1 {
		t.Errorf("the source was read %d times", len(offsets))
	}
	mustBeWhole(t, s)
}
