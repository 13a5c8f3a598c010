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

// ollamaRoots returns the folders in which Ollama keeps models: the given one, that of OLLAMA_MODELS, or the default ones of a user and of
// the system's service.
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

// listOllama returns the models of an Ollama store: manifests/HOST/NAMESPACE/NAME/TAG, blobs/sha256-HEX.
func listOllama(root string) []Model {
	var models []Model
	dir := filepath.Join(root, "manifests")
	// What cannot be read is not listed: the folder is another program's, and it is not ours to complain.
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
