package imaging

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table of formats names the tests that back it.
func TestTheTableOfFormatsNamesTestsThatAreThere(t *testing.T) {
	page, err := os.ReadFile("../../docs/pictures.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, folder := range []string{"kernels", "cmd/eyelet/internal/pictures", "engine/server",
		"cgo/jpeg"} {
		err := filepath.WalkDir("../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range regexp.MustCompile(`func (\w+)\(`).FindAllSubmatch(text, -1) {
				there[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllSubmatch(page, -1)
	if len(names) < 25 {
		t.Errorf("%d names", len(names))
	}
	for _, m := range names {
		if !there[string(m[1])] {
			t.Errorf("docs/pictures.md names %s, which is not there", m[1])
		}
	}
}
