package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheFilesOfSeveralResultsAreNumbered(t *testing.T) {
	for i, c := range []struct {
		path string
		n    int
		want string
	}{{"x.npy", 1, "x.npy"}, {"x.npy", 2, "x-2.npy"}, {"d.e/x", 2, "d.e/x-2"}} {
		if got := NumberedName(c.path, 1, c.n); got != c.want {
			t.Errorf("%d: %q, want %q", i, got, c.want)
		}
	}
}

func TestAPlaceWhereNothingCanBeWrittenIsTold(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.png")
	if err := os.Symlink(filepath.Join(dir, "none", "x.png"), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "x.png"):         "",
		filepath.Join(dir, "none", "x.png"): "there is no folder",
		dir:                                 "no regular file",
		os.DevNull:                          "no regular file",
		link:                                "",
	} {
		err := CheckOutput(path, "the picture")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if os.Getuid() == 0 {
		return // who may write everywhere
	}
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // to be read alone
		t.Fatal(err)
	}
	if err := CheckOutput(filepath.Join(dir, "x.png"), "the picture"); err == nil ||
		!strings.Contains(err.Error(), "no file can be made in the folder") {
		t.Error(err)
	}
}
