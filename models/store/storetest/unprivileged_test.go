package storetest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestPermissionsAreObeyed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, nil, 0); err != nil {
		t.Fatal(err)
	}
	Unprivileged(t, func() {
		if _, err := os.ReadFile(path); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v", err)
		}
		if err := exec.Command("cat", path).Run(); err == nil {
			t.Error("a program reads it")
		}
	})
	if os.Geteuid() == 0 {
		if _, err := os.ReadFile(path); err != nil {
			t.Errorf("root has lost its rights elsewhere: %v", err)
		}
	}
}
