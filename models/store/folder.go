package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// maxFolderFiles bounds how many GGUF files of a folder are looked into.
const maxFolderFiles = 4096

// Folder finds the models of a folder: each GGUF file of a language model (of a split one, the first part), with the one projector that
// lies beside it. Of several projectors, the model's is that whose name has most in common with the model's behind "mmproj-", or none. Folders
// inside are not looked into. Files that are no GGUF are passed over.
func Folder(dir string) ([]Files, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var models, projectors []string
	for _, e := range entries {
		if !strings.EqualFold(filepath.Ext(e.Name()), ".gguf") || len(models)+len(projectors) >= maxFolderFiles {
			continue
		}
		path := filepath.Join(dir, e.Name())
		f, err := gguf.Open(path)
		if err != nil {
			if errors.Is(err, gguf.ErrNotGGUF) {
				continue
			}
			return nil, err
		}
		arch, first := f.Architecture(), f.Parts()[0]
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		switch {
		case arch == "clip":
			projectors = append(projectors, path)
		case !slices.Contains(models, first):
			models = append(models, first)
		}
	}
	files := make([]Files, len(models))
	for i, model := range models {
		files[i] = Files{Model: model, Projector: projectorOf(model, projectors)}
	}
	return files, nil
}

// projectorOf chooses among the projectors of a folder.
func projectorOf(model string, projectors []string) string {
	if len(projectors) == 1 {
		return projectors[0]
	}
	stem := func(path string) string {
		s := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".gguf")
		return strings.Trim(strings.Replace(s, "mmproj", "", 1), "-_.")
	}
	best, most, tie := "", 0, false
	for _, p := range projectors {
		n := commonPrefix(stem(model), stem(p))
		switch {
		case n > most:
			best, most, tie = p, n, false
		case n == most:
			tie = true
		}
	}
	if tie {
		return ""
	}
	return best
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// LMStudioRoots returns the folders in which LM Studio keeps models by default, as PUBLISHER/MODEL/*.gguf: the present one and an older one.
func LMStudioRoots() []string {
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return nil
	}
	return []string{filepath.Join(home, ".lmstudio", "models"), filepath.Join(home, ".cache", "lm-studio", "models")}
}

// LMStudio finds a model in LM Studio's folders. ref is PUBLISHER/MODEL where that folder holds one language model, or PUBLISHER/MODEL/FILE.gguf.
// Errors wrap ErrNotFound or ErrName.
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
		all, err := Folder(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Files{}, err
		}
		if len(parts) == 3 {
			all = slices.DeleteFunc(all, func(f Files) bool { return filepath.Base(f.Model) != parts[2] })
		}
		f, err := OnlyModel(dir, all)
		f.From = "lmstudio:" + ref
		return f, err
	}
	return Files{}, fmt.Errorf("store: %w: %s, in %s", ErrNotFound, ref, strings.Join(roots, " or "))
}

// OnlyModel returns the one model that a folder holds, or an error that lists them.
func OnlyModel(dir string, all []Files) (Files, error) {
	switch len(all) {
	case 0:
		return Files{}, fmt.Errorf("store: %w: %s holds no GGUF file of a language model", ErrNotFound, dir)
	case 1:
		return all[0], nil
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = filepath.Base(f.Model)
	}
	return Files{}, fmt.Errorf("store: %w: %s holds several models (%s); name one", ErrName, dir, strings.Join(names, ", "))
}
