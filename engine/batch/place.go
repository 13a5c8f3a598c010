package batch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// inlinePicture is the first picture that a body holds as a data URL, nil if there is none.
func inlinePicture(body []byte) []byte {
	i := bytes.Index(body, []byte(`"data:image/`))
	if i < 0 {
		return nil
	}
	end := bytes.IndexByte(body[i+1:], '"')
	if end < 0 {
		return nil
	}
	return body[i+1 : i+1+end]
}

// place puts a picture where workers find it.
func (b *submitter) place(ctx context.Context, p *pending, s Source) (picture, *Fault, error) {
	placed := picture{Name: s.Name, Path: s.Path, Page: s.Page}
	if b.ByPath && utf8.ValidString(s.Path) {
		return placed, nil, nil
	}
	// A path that is no UTF-8 cannot stand in a job, which is JSON: such a picture travels too.
	data, err := readFile(s.Path, imaging.DefaultMaxBytes)
	if err != nil {
		return placed, &Fault{"bad_picture", fmt.Sprintf("%s: %v", s.Name, err)}, nil
	}
	sum := sha256.Sum256(data)
	placed.Path, placed.Object = "", "picture-"+hex.EncodeToString(sum[:])
	fault, err := b.object(ctx, p, placed.Object, data)
	return placed, fault, err
}

// readFile reads a regular file of at most most bytes.
func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if err == nil && info.Size() > most {
		return nil, fmt.Errorf("it is larger than %d MiB", most>>20)
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, Cause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it is larger than %d MiB", most>>20)
	}
	return data, err
}

// Cause is what went wrong with a file, without the system call and the path, which is one of this
// machine's.
func Cause(err error) error {
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return fault.Err
	}
	return err
}

// object stores what an item needs, when there is room for it among what is under way.
func (b *submitter) object(ctx context.Context, p *pending, name string,
	data []byte) (*Fault, error) {
	for {
		b.mu.Lock()
		fits, left := b.bytes == p.bytes || b.bytes+int64(len(data)) <= b.Bytes, len(b.pending)
		if fits {
			b.bytes += int64(len(data))
			p.bytes += int64(len(data))
			p.objects = append(p.objects, name)
			b.objects[name]++
		}
		b.mu.Unlock()
		if fits {
			break
		}
		if err := b.until(ctx, left-1); err != nil {
			return nil, err
		}
	}
	return b.roomFor(ctx, func() error { return b.q.put(ctx, b.Batch, name, data) })
}

// roomFor does what needs room in the queue's store. Where there is none it waits for other items
// to make some; an item for which there is none although no other is in the queue has a fault.
func (b *submitter) roomFor(ctx context.Context, do func() error) (*Fault, error) {
	try := func() error {
		err := do()
		if !errors.Is(err, ErrNoRoom) || len(b.sent) == 0 {
			return err
		}
		if err := b.settle(ctx); err != nil { // what is on its way holds room until then
			return err
		}
		return do()
	}
	for {
		err := b.retry(ctx, try)
		if !errors.Is(err, ErrNoRoom) {
			return nil, err
		}
		b.mu.Lock()
		left, queued := len(b.pending), 0
		for _, p := range b.pending {
			if p.queued {
				queued++
			}
		}
		b.mu.Unlock()
		if queued == 0 {
			return &Fault{"no_room", err.Error()}, nil
		}
		if err := b.until(ctx, left-1); err != nil {
			return nil, err
		}
		b.tidy(ctx)
	}
}
