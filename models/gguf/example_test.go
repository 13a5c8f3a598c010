package gguf_test

import (
	"fmt"
	"io"
	"log"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

func ExampleOpen() {
	f, err := gguf.Open("testdata/split-00001-of-00002.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	name, _ := f.Str("general.name")
	fmt.Println(f.Architecture(), "/", name)
	for _, t := range f.Tensors() {
		fmt.Println(t.Name, t.Type, t.Dims, t.Size(), "bytes")
	}
	// Output:
	// golden / split over two files
	// blk.0.weight F32 [3 4] 48 bytes
	// blk.1.weight F32 [4 4] 64 bytes
	// blk.2.weight F32 [5 4] 80 bytes
}

func ExampleWriter() {
	f, err := gguf.Open("testdata/all.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	// A file with one tensor of another, which is never in memory whole.
	w := gguf.NewWriter("example")
	w.Set("example.block_count", uint32(1))
	w.Set("example.image_mean", []float32{0.5, 0.5, 0.5})
	t, _ := f.Tensor("q4_k.2d")
	w.AddTensorFunc("blk.0.weight", t.Type, t.Dims, func(out io.Writer) error {
		_, err := io.Copy(out, t.Reader())
		return err
	})
	n, err := w.WriteTo(io.Discard)
	fmt.Println(n, err)
	// Output: 384 <nil>
}
