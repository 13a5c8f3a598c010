// Codecs takes the decoders of AVIF, JPEG XL and HEIC pictures and of PDF files, C libraries
// compiled to WebAssembly, out of the Go modules that hold them, with their licences, and puts
// calls into their loops that let them be stopped:
//
//	go run ./scripts/codecs
//
// By hand, after changing a version: the files are part of the sources.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// interval is how many rounds of loops pass between two calls: some tenths of a millisecond.
const interval = 1 << 14

// A source is a file of a Go module that holds a program.
type source struct {
	module, file string
	to           string // the program's name here, without its ending
	call         imported
}

var (
	codecs = filepath.Join("kernels", "imaging", "internal", "wasm")
	tick   = imported{module: "eyelet", name: "tick"}
	// yield is WASI's, since the library that runs PDFium offers it no function of ours.
	yield = imported{module: "wasi_snapshot_preview1", name: "sched_yield", result: true}

	sources = []source{
		{"github.com/gen2brain/avif@v0.4.4", "lib/decode.wasm.gz", filepath.Join(codecs, "avif"),
			tick},
		{"github.com/gen2brain/jpegxl@v0.4.5", "lib/decode.wasm.gz", filepath.Join(codecs,
			"jpegxl"), tick},
		{"github.com/gen2brain/heic@v0.4.5", "lib/heif.wasm.gz", filepath.Join(codecs, "heic"),
			tick},
		{"github.com/klippa-app/go-pdfium", "internal/pdfium_wasm/pdfium.wasm",
			filepath.Join("kernels", "imaging", "document", "pdfium"), yield},
	}
)

func main() {
	for _, s := range sources {
		if err := s.take(); err != nil {
			fmt.Fprintf(os.Stderr, "codecs: %s: %v\n", s.module, err)
			os.Exit(1)
		}
	}
}

func (s source) take() error {
	out, err := exec.Command("go", "mod", "download", "-json", s.module).Output()
	if err != nil {
		return err
	}
	var got struct{ Dir string }
	if err := json.Unmarshal(out, &got); err != nil {
		return err
	}
	program, err := unpack(filepath.Join(got.Dir, s.file))
	if err != nil {
		return err
	}
	if program, err = insertTicks(program, s.call, interval); err != nil {
		return err
	}
	return pack(s.to+".wasm.gz", program)
}

// unpack reads a file that may be compressed.
func unpack(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil || filepath.Ext(path) != ".gz" {
		return data, err
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// pack writes a compressed file, whose bytes follow from the data alone.
func pack(path string, data []byte) error {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}
