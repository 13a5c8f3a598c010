package mmproj

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// A change is one to a projector file without which libmtmd computes something else than the model
// was trained to.
type change struct {
	keys   map[string]any  // set in the metadata
	tensor string          // replaced, "" for none
	widen  map[string]bool // tensors whose copies are in float32
	// write writes the new data of so many rows.
	write func(rows *io.SectionReader, n int, to io.Writer) error
}

// changes returns what a file needs; nil for nothing.
func changes(f *gguf.File) *change {
	c := familyChanges(f)
	for _, t := range wrongTypes(f) {
		if c == nil {
			c = &change{}
		}
		if c.widen == nil {
			c.widen = map[string]bool{}
		}
		c.widen[t.Name] = true
	}
	return c
}

// familyChanges are those that only one family needs.
func familyChanges(f *gguf.File) *change {
	switch f.ProjectorKind() {
	case "gemma4v":
		_, gelu := f.Lookup("clip.use_gelu")
		_, silu := f.Lookup("clip.use_silu")
		if !gelu && !silu {
			// llama.cpp's converter writes neither for Gemma 4, and libmtmd then takes QuickGELU;
			// Gemma 4 has gelu_pytorch_tanh.
			return &change{keys: map[string]any{"clip.use_gelu": true}}
		}
	case "internvl":
		// libmtmd 0.7 appends the class token behind the patches while the table of positions has
		// it first (llama.cpp #25814). The projector leaves it out, so with its row moved to the
		// end all is as trained.
		_, class := f.Tensor("v.class_embd")
		if t, ok := f.Tensor("v.position_embd.weight"); ok && class && classTokenLast() &&
			len(t.Dims) >= 2 && t.Dims[1] > 1 {
			return &change{tensor: t.Name, write: moveFirstRowLast}
		}
	case "idefics3":
		// Tiles are handed over one by one. As the file stands, libmtmd would enlarge each to a
		// whole picture and cut that again, for nothing.
		size, _ := f.Uint("clip.vision.image_size")
		if n, ok := f.Uint("clip.vision.preproc_image_size"); ok && size > 0 && n != size {
			return &change{keys: map[string]any{"clip.vision.preproc_image_size": uint32(size)}}
		}
	}
	return nil
}

// classTokenLast reports whether the libmtmd of this process is one that appends class tokens.
// Which version ends that is not known yet.
func classTokenLast() bool { return strings.HasPrefix(llama.Version(), "0.7.") }

// moveFirstRowLast writes n rows from the second on, then the first.
func moveFirstRowLast(rows *io.SectionReader, n int, to io.Writer) error {
	row := rows.Size() / int64(n)
	if _, err := io.Copy(to, io.NewSectionReader(rows, row, rows.Size()-row)); err != nil {
		return err
	}
	_, err := io.Copy(to, io.NewSectionReader(rows, 0, row))
	return err
}

// Mend returns the path of a file that libmtmd reads as the model was trained: the file's own, or
// that of a copy, which remove removes.
func Mend(ctx context.Context, f *gguf.File) (path string, remove func(), err error) {
	c := changes(f)
	if c == nil {
		return f.Path(), func() {}, nil
	}
	if path, err = c.copy(ctx, f); err != nil {
		return "", nil, fmt.Errorf("mending a copy in %s (TMPDIR chooses another folder): %w",
			os.TempDir(), err)
	}
	return path, func() { os.Remove(path) }, nil
}

// copy writes the mended file and returns its path.
func (m *change) copy(ctx context.Context, f *gguf.File) (path string, err error) {
	out, err := os.CreateTemp("", "eyelet-mmproj-*.gguf")
	if err != nil {
		return "", err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	w := gguf.NewWriter(f.Architecture())
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	for key, value := range m.keys {
		w.Set(key, value)
	}
	for _, t := range f.Tensors() {
		typ := t.Type
		if m.widen[t.Name] {
			typ = gguf.F32
		}
		w.AddTensorFunc(t.Name, typ, t.Dims, func(to io.Writer) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			switch {
			case t.Name == m.tensor && typ != t.Type:
				var wide bytes.Buffer
				if err := widen(t, &wide); err != nil {
					return err
				}
				return m.write(io.NewSectionReader(bytes.NewReader(wide.Bytes()), 0,
					int64(wide.Len())), int(t.Dims[1]), to)
			case t.Name == m.tensor:
				return m.write(t.Reader(), int(t.Dims[1]), to)
			case typ != t.Type:
				return widen(t, to)
			}
			_, err := io.Copy(to, t.Reader())
			return err
		})
	}
	_, err = w.WriteTo(out)
	return out.Name(), err
}
