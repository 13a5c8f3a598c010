package wasm

import (
	"context"
	"errors"
	"image"
	"os"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../testdata/files/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Sizes are read while as many pictures are decoded as may be at a time, whoever sent them.
func TestHeadersDoNotWaitForPictures(t *testing.T) {
	data := readFile(t, "photo.avif")
	for range cap(places) {
		places <- struct{}{}
	}
	defer func() {
		for range cap(places) {
			<-places
		}
	}()
	if w, h, err := AVIF.Size(t.Context(), data); err != nil || w < 1 || h < 1 {
		t.Errorf("%d x %d, %v", w, h, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := AVIF.Decode(ctx, data, 1<<20, func(image.Image) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("without a place: %v", err)
	}
}

// asked is a context that is done when it has been asked so often.
type asked struct {
	context.Context
	times, most int
}

func (a *asked) Err() error {
	if a.times++; a.times > a.most {
		return context.Canceled
	}
	return nil
}

// A program asks again and again whether it is to go on, and ends in the middle if it is not.
func TestProgramsEndInTheMiddle(t *testing.T) {
	for name, d := range map[string]*Decoder{
		"photo.avif": AVIF, "lossy.jxl": JPEGXL, "photo.heic": HEIC,
	} {
		if err := d.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		decode := func(most int) (times int, err error) {
			module := instance(t, d)
			defer module.Close(t.Context())
			ctx := &asked{Context: t.Context(), most: most}
			_, _, _, err = d.read(&machine{ctx, module}, readFile(t, name), true)
			return ctx.times, err
		}
		all, err := decode(1 << 30)
		if err != nil || all < 4 {
			t.Errorf("%s: asked %d times, %v", name, all, err)
			continue
		}
		if times, err := decode(all / 2); err == nil || times != all/2+1 {
			t.Errorf("%s: ended with %v after the %dth question, that should be the %dth", name,
				err, times, all/2+1)
		}
	}
}

func instance(t *testing.T, d *Decoder) api.Module {
	t.Helper()
	module, err := d.runtime.InstantiateModule(t.Context(), d.program,
		wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// The memory of a machine never takes more than it may, not even while it grows, and stays where it
// is.
func TestMemoryIsBoundedWhileItGrows(t *testing.T) {
	s, ok := NewSpace(3 << 20)
	if !ok {
		t.Fatal("there is no memory")
	}
	defer s.Release()
	first := s.Reallocate(1 << 20)
	first[100] = 7
	if more := s.Reallocate(3 << 20); len(more) != 3<<20 || cap(more) != 3<<20 || &more[0] !=
		&first[0] || more[100] != 7 {
		t.Errorf("%d bytes with room for %d", len(more), cap(more))
	}
	if s.full || s.Reallocate(3<<20+1) != nil || !s.full {
		t.Error("more than the limit")
	}
	s.Release()
	s.Release()
}
