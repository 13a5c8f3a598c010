package store

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Where Ollama's registry and its own namespace are left out of names.
const (
	ollamaHost      = "registry.ollama.ai"
	ollamaNamespace = "library"
)

// ollamaRoots returns the folders in which Ollama keeps models: the given one, that of
// OLLAMA_MODELS, or the default ones of a user and of the system's service.
func ollamaRoots(root string) []string {
	if root == "" {
		root = os.Getenv("OLLAMA_MODELS")
	}
	if root != "" {
		return []string{root}
	}
	var roots []string
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) {
		roots = append(roots, filepath.Join(home, ".ollama", "models"))
	}
	return append(roots, "/usr/share/ollama/.ollama/models")
}

// refuseOllama returns an error if root is a folder of Ollama's, by its place or by its looks, or
// has such a one's files by a link: what no manifest of ours refers to would be removed from it.
func refuseOllama(root string, ollama []string) error {
	refuse := func() error {
		return fmt.Errorf("store: %w: %s holds Ollama's models, which run in place; choose another folder for this store (EYELET_MODELS)", ErrForeign, root)
	}
	for _, other := range ollama {
		for _, name := range []string{"", "blobs", "manifests"} {
			a, b := filepath.Join(root, name), filepath.Join(other, name)
			if abs, err := filepath.Abs(b); err == nil && abs == a {
				return refuse()
			}
			infoA, errA := os.Stat(a)
			infoB, errB := os.Stat(b)
			if errA == nil && errB == nil && os.SameFile(infoA, infoB) {
				return refuse()
			}
		}
	}
	// Ours lie in manifests/ itself, Ollama's in folders of hosts.
	entries, err := os.ReadDir(filepath.Join(root, "manifests"))
	if err != nil {
		return nil // nothing there, or what those who need it will complain of
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			return refuse()
		}
	}
	return nil
}

// listOllama returns the models of an Ollama store: manifests/HOST/NAMESPACE/NAME/TAG,
// blobs/sha256-HEX.
func listOllama(root string) []Model {
	var models []Model
	dir := filepath.Join(root, "manifests")
	// What cannot be read is not listed: the folder is another program's, and it is not ours to
	// complain.
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return nil
		}
		if name, err := ollamaName(filepath.ToSlash(rel)); err == nil {
			models = append(models, readModel(path, name, SourceOllama, root))
		}
		return nil
	})
	return models
}

// ollamaName makes of HOST/NAMESPACE/NAME/TAG the name that Ollama shows.
func ollamaName(rel string) (Name, error) {
	parts := strings.Split(rel, "/")
	if len(parts) != 4 {
		return Name{}, fmt.Errorf("store: %w: %.100q lies at no place of a manifest", ErrName, rel)
	}
	path, tag := parts[:3], parts[3]
	if path[0] == ollamaHost {
		path = path[1:]
		if path[0] == ollamaNamespace {
			path = path[1:]
		}
	}
	return ParseName(strings.Join(path, "/") + ":" + tag)
}
