package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsClaimedIsKeptFromOthers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, file} {
		release, err := Claim(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Claim(path); !errors.Is(err, ErrClaimed) {
			t.Errorf("a second one claims %s: %v", path, err)
		}
		release()
		release()
		again, err := Claim(path)
		if err != nil {
			t.Fatalf("after the release: %v", err)
		}
		again()
	}
	if _, err := Claim(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}
