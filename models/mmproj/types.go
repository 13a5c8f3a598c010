package mmproj

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// maxWidened is the most elements of a tensor that is widened, far above any table of positions.
const maxWidened = 1 << 27

// WrongType tells a tensor of a type over which libggml aborts the process: it adds, multiplies and
// joins vectors and tables in float32 alone, takes convolutions' weights in float32 and float16,
// and turns no quantized matrix round, as libmtmd does Gemma 3's.
func WrongType(projector string, t *gguf.Tensor) bool {
	if t.Type == gguf.F32 {
		return false
	}
	switch t.Name {
	case "v.position_embd.weight":
		// whose rows are looked up, which libggml does in any type
		return projector != "mlp" && projector != "linear"
	case "mm.input_projection.weight":
		return t.Type != gguf.F16 && t.Type != gguf.BF16
	}
	if strings.HasPrefix(t.Name, "v.patch_embd.weight") {
		return t.Type != gguf.F16
	}
	most := uint64(0)
	for _, n := range t.Dims {
		most = max(most, n)
	}
	return t.Elements() == most // a vector
}

// wrongTypes are the tensors of a file that must be widened to float32 for libmtmd.
func wrongTypes(f *gguf.File) (list []*gguf.Tensor) {
	projector := f.ProjectorKind()
	for _, t := range f.Tensors() {
		if WrongType(projector, t) {
			list = append(list, t)
		}
	}
	return list
}

// checkTypes refuses a file whose tensors libmtmd would have to read as they stand and cannot, or
// that are too large to be widened.
func checkTypes(f *gguf.File, asIs bool) error {
	for _, t := range wrongTypes(f) {
		if asIs || t.Elements() > maxWidened {
			return fmt.Errorf("tensor %s of %d elements is of type %s, where libmtmd needs F32",
				t.Name, t.Elements(), t.Type)
		}
	}
	return nil
}

// widen writes a tensor's elements in float32.
func widen(t *gguf.Tensor, to io.Writer) error {
	if err := ggml.Load(); err != nil { // conversion tables are made by it
		return err
	}
	values := make([]float32, t.Elements())
	if err := ggml.Dequantize(ggml.Type(t.Type), t.Data(), values); err != nil {
		return fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	data := make([]byte, 0, 4*len(values))
	for _, x := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	_, err := to.Write(data)
	return err
}
