package llama

import (
	"bytes"
	"os"

	"github.com/eyelet-engine/eyelet/cgo/memory"
)

// leastRead is the size of a model from which on it matters how its pages lie: pages of 2 MiB are
// asked for from there on (cgo/ggml/pages_linux.c), and less than that stays in caches.
const leastRead = 32 << 20

// readsFaster tells whether a model is better read into memory than mapped. The pages of a mapped
// file are of 4 KiB and lie all over the machine's memory, so that a token's weights take longer to
// read (docs/accelerator.md); but the system can take them back when memory is short, and processes
// share them. So half of what is available must do for the weights.
func readsFaster(files []string) bool {
	// "always [madvise] never" (Linux's Documentation/admin-guide/mm/transhuge.rst); no such file on
	// other systems
	pages, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || bytes.Contains(pages, []byte("[never]")) {
		return false
	}
	var size uint64
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return false // whoever loads it says what is wrong
		}
		size += uint64(info.Size()) //nolint:gosec // a file's size is not negative
	}
	m, ok := memory.Read()
	return ok && size >= leastRead && size <= m.Available/2
}
