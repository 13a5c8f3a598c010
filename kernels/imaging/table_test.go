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

// The licences of what is compiled into WebAssembly are those that the list of third parties names.
func TestLicencesOfProgramsAreThere(t *testing.T) {
	page, err := os.ReadFile("../../THIRD_PARTY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([\\w.-]+\\.txt)`").FindAllSubmatch(page, -1) {
		named[string(m[1])] = true
	}
	delete(named, "licences.txt")
	delete(named, "versions.txt")
	files, err := os.ReadDir("licences")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Size() < 500 {
			t.Errorf("%s: %v", f.Name(), err)
		}
		if !named[f.Name()] {
			t.Errorf("THIRD_PARTY.md does not name %s", f.Name())
		}
		delete(named, f.Name())
	}
	for name := range named {
		t.Errorf("kernels/imaging/licences has no %s, which THIRD_PARTY.md names", name)
	}
}
