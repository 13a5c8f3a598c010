package cli

import (
	"io/fs"
	"os"
	"runtime/debug"

	"github.com/eyelet-engine/eyelet/cgo/memory"
)

// ModelMemory is the memory in bytes that models may take together where nobody says otherwise,
// 85 % of what is available; 0 where the system does not tell.
func ModelMemory() int64 {
	m, _ := memory.Read()
	return int64(m.Available / 100 * 85) //nolint:gosec // no machine has that much
}

// SystemRoot is the file system of this machine.
func SystemRoot() fs.FS { return os.DirFS("/") }

// CollectOften has garbage collected twice as often as usual, for programs that run for long: most
// of it is pictures and bodies of requests, of up to megabytes each, and most memory is not Go's,
// so that it costs little. The environment variable GOGC comes before it.
func CollectOften() {
	const percent = 50
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
