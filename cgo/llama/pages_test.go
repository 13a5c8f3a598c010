package llama

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/memory"
)

func TestModelsAreReadWhereThereIsMemoryForThem(t *testing.T) {
	m, ok := memory.Read()
	pages, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if !ok || m.Available < 4*leastRead || err != nil || strings.Contains(string(pages),
		"[never]") {
		t.Skip("this system maps all files")
	}
	file := func(size uint64) string {
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(size)); err != nil { // which takes no room on the disk
			t.Skip(err)
		}
		return path
	}
	large, small := file(leastRead), file(leastRead/2)
	for name, c := range map[string]struct {
		files []string
		want  bool
	}{
		"a small one":                 {[]string{small}, false},
		"two halves":                  {[]string{small, file(leastRead / 2)}, true},
		"a large one":                 {[]string{large}, true},
		"larger than half the memory": {[]string{large, file(m.Total)}, false},
		"one with a part missing":     {[]string{large, large + "none"}, false},
	} {
		if got := readsFaster(c.files); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
