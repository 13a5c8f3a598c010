package smallfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("four"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := Read(path, 4); err != nil || string(data) != "four" {
		t.Errorf("%q, %v", data, err)
	}
	for path, want := range map[string]error{path: ErrLarge, filepath.Dir(path): ErrNotRegular,
		path + "y": fs.ErrNotExist} {
		if data, err := Read(path, 3); !errors.Is(err, want) || data != nil {
			t.Errorf("%s: %q, %v, want %v", path, data, err, want)
		}
	}
}
