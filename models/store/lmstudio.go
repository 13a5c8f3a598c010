package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// LMStudioRoots returns the folders in which LM Studio keeps models by default, as
// PUBLISHER/MODEL/*.gguf: the present one and an older one.
func LMStudioRoots() []string {
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return nil
	}
	return []string{filepath.Join(home, ".lmstudio", "models"), filepath.Join(home, ".cache",
		"lm-studio", "models")}
}

// LMStudio finds a model in LM Studio's folders. ref is PUBLISHER/MODEL where that folder holds one
// language model, or PUBLISHER/MODEL/FILE.gguf. Errors wrap ErrNotFound or ErrName.
func LMStudio(ref string, roots ...string) (Files, error) {
	parts := strings.Split(ref, "/")
	if len(parts) != 2 && len(parts) != 3 || !filepath.IsLocal(ref) {
		return Files{}, fmt.Errorf("store: %w: %.100q; a model of LM Studio's is PUBLISHER/MODEL or PUBLISHER/MODEL/FILE.gguf", ErrName, ref)
	}
	if len(roots) == 0 {
		roots = LMStudioRoots()
	}
	for _, root := range roots {
		dir := filepath.Join(root, parts[0], parts[1])
		list, err := Folder(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Files{}, err
		}
		if len(parts) == 3 {
			list.keep(parts[2])
		}
		f, err := list.OnlyModel(dir)
		f.From = "lmstudio:" + ref
		return f, err
	}
	return Files{}, fmt.Errorf("store: %w: %s, in %s", ErrNotFound, ref,
		strings.Join(roots, " or "))
}
