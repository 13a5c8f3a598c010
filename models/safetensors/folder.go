package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
	"github.com/eyelet-engine/eyelet/models/internal/smallfile"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// OpenFolder opens the model in a folder as Hugging Face's libraries save it:
// model.safetensors, or the files that model.safetensors.index.json lists. Each
// tensor must be in the file that the index names, and no other may be there.
func OpenFolder(dir string) (*File, error) {
	parts, err := readIndex(filepath.Join(dir, indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		f, err := Open(filepath.Join(dir, singleFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("safetensors: %s has neither %s nor %s%s: %w", dir, singleFile,
				indexFile, otherWeights(dir), fs.ErrNotExist)
		}
		return f, err
	}
	if err != nil {
		return nil, err
	}
	f := new(File)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		path := filepath.Join(dir, name)
		if err := f.add(path, parts[name]); err != nil {
			f.Close()
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("safetensors: %s, which %s lists: %w", path, indexFile,
					fs.ErrNotExist)
			}
			return nil, err
		}
		for tensor := range parts[name] {
			if _, ok := f.index[tensor]; !ok {
				f.Close()
				return nil, fmt.Errorf("safetensors: %s: tensor %s, which %s lists: %w", path,
					quote(tensor), indexFile, fs.ErrNotExist)
			}
		}
	}
	return f, nil
}

// otherWeights says what else a folder holds that could be meant as weights.
func otherWeights(dir string) string {
	for _, pattern := range []string{"*.bin", "*.pth", "*.pt"} {
		if found, _ := filepath.Glob(filepath.Join(escapeGlob(dir), pattern)); len(found) > 0 {
			return fmt.Sprintf(" (%s is a PyTorch pickle, which is not read)",
				filepath.Base(found[0]))
		}
	}
	return ""
}

// escapeGlob makes filepath.Glob take a path literally.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// readIndex returns the files of a split model with the names of their tensors.
func readIndex(path string) (map[string]map[string]bool, error) {
	data, err := smallfile.Read(path, maxIndex)
	switch {
	case errors.Is(err, smallfile.ErrNotRegular):
		return nil, fmt.Errorf("safetensors: %s: %w: %w", path, ErrCorrupt, err)
	case errors.Is(err, smallfile.ErrLarge):
		err = fmt.Errorf("%w: more than %d bytes", ErrLimit, maxIndex)
	case err != nil:
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	var parts map[string]map[string]bool
	if err == nil {
		parts, err = parseIndex(data)
	}
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	return parts, nil
}

// parseIndex reads the weight map of an index. A part is a file beside the
// index: a name that leads elsewhere is refused.
func parseIndex(data []byte) (map[string]map[string]bool, error) {
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrCorrupt)
	}
	d := newDecoder(data)
	parts := make(map[string]map[string]bool)
	tensors := 0
	add := func(tensor string) {
		part := d.str()
		if part == "" || part == "." || part != filepath.Base(part) ||
			!filepath.IsLocal(part) || strings.ContainsAny(part, "\\\x00") {
			panic(fault.New("%w: %s is no name of a file in the same folder", ErrCorrupt,
				quote(part)))
		}
		if parts[part] == nil {
			parts[part] = make(map[string]bool)
		}
		parts[part][tensor] = true
		if tensors++; tensors > maxTensors || len(parts) > maxParts {
			panic(fault.New("%w: %d tensors in %d files, at most %d in %d are read", ErrLimit,
				tensors, len(parts), maxTensors, maxParts))
		}
	}
	err := fault.Try(func() {
		d.object(func(key string) {
			if key == "weight_map" {
				d.object(add)
				return
			}
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				panic(fault.New("%w: no JSON: %v", ErrCorrupt, err))
			}
		})
	})
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: it has no weight_map", ErrCorrupt)
	}
	return parts, nil
}
