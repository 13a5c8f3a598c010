package graph

import (
	"os"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// Memory that libggml takes for weights asks for large pages, if it is worth it (pages_linux.c).
func TestLargeBuffersAskForLargePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("this system has no large pages to ask for")
	}
	for mebibytes, want := range map[int]bool{64: true, 8: false} {
		before := asking(t)
		s := openCPU(t).NewStore(1, false)
		t.Cleanup(s.Close)
		s.Tensor(ggml.F32, mebibytes<<18)
		if err := s.Alloc(); err != nil {
			t.Fatal(err)
		}
		if got := asking(t) > before; got != want {
			t.Errorf("a buffer of %d MiB asks for large pages: %v, want %v", mebibytes, got, want)
		}
	}
}

// asking is the number of mappings of this process that ask for large pages.
func asking(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok &&
			strings.Contains(flags+" ", " hg ") {
			n++
		}
	}
	return n
}
