package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/safetensors"
	"github.com/eyelet-engine/eyelet/models/store"
)

// BuiltinNames are the names of the model inside the program. A model of the store with one of them
// comes first.
var BuiltinNames = []string{"builtin", builtin.Name}

// OpenStore opens the user's store.
func OpenStore() (*store.Store, error) { return store.Open(store.Options{}) }

// FindModel returns the model that a flag or argument names, or nil where ref is the path of a
// file. A file comes before a name. A model that draws is refused.
func FindModel(ref string) (*store.Resolved, error) {
	r, err := FindAnyModel(ref)
	if err != nil {
		return nil, err
	}
	if r == nil {
		if _, err := os.Stat(ref); err != nil {
			return nil, fmt.Errorf("%w: %w", engine.ErrModelFile, err)
		}
		return nil, refuseWeights(ref)
	}
	return r, RefuseDrawing(r)
}

// FindAnyModel is [FindModel] for models of all kinds.
func FindAnyModel(ref string) (*store.Resolved, error) {
	if info, err := os.Stat(ref); err == nil && !info.IsDir() {
		return nil, nil
	}
	r, err := FindStored(ref)
	switch {
	case err == nil:
		return r, nil
	case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrName):
		return nil, err
	case isPath(ref):
		return nil, nil // what is wrong with the path will be told
	}
	return nil, NoModel(ref)
}

// NoModel returns the error for a name that is neither a model's nor a file's.
func NoModel(ref string) error {
	return &InputError{Err: fmt.Errorf("there is no model %q and no file of that name", ref),
		Remedy: `"eyelet list" shows the models`}
}

// FindStored returns the model of a name or digest: the store's, Ollama's, or the built-in one.
func FindStored(ref string) (*store.Resolved, error) {
	s, err := OpenStore()
	if err == nil {
		var r *store.Resolved
		if r, err = s.Resolve(ref); err == nil {
			return r, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	if !slices.Contains(BuiltinNames, strings.TrimSuffix(ref, ":latest")) {
		if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrName) {
			// there is no home for a store
			err = fmt.Errorf("%w: %s; %w", store.ErrNotFound, ref, err)
		}
		return nil, err
	}
	r := &store.Resolved{Model: store.Model{Name: store.Name{Path: builtin.Name, Tag: "latest"}}}
	r.Path, r.Projector, err = builtin.Extract("")
	return r, err
}

// isPath reports whether ref is meant as a path, by what is there or by its looks.
func isPath(ref string) bool {
	_, err := os.Lstat(ref)
	return err == nil || strings.EqualFold(filepath.Ext(ref), ".gguf") ||
		strings.ContainsAny(ref, `\`) ||
		strings.HasPrefix(ref, ".") || strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, "~")
}

// FindProjector returns the path of a projector that a flag names: a file, or a model of the store
// that has one.
func FindProjector(ref string) (string, error) {
	r, err := FindModel(ref)
	if err != nil || r == nil {
		return ref, err
	}
	if r.Projector == "" {
		return "", fmt.Errorf("%w: %s has no projector", engine.ErrNoVision, r.Name)
	}
	return r.Projector, nil
}

// CompleteModels offers the names of models and GGUF files.
func CompleteModels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s, err := OpenStore()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	models, err := s.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names := slices.Clone(BuiltinNames[:1])
	for _, m := range models {
		names = append(names, m.Name.String())
	}
	return names, cobra.ShellCompDirectiveDefault
}

// RefuseDrawing returns an error for a model that draws, for commands that want one that answers.
func RefuseDrawing(r *store.Resolved) error {
	if r == nil || r.Kind() != store.KindDraw {
		return nil
	}
	return onlyDraws(r.Name.String())
}

func onlyDraws(model string) error {
	return fmt.Errorf(`%w: %s draws pictures and answers no questions; "eyelet draw --model %s TEXT" draws`, store.ErrKind, model, model)
}

// refuseWeights returns an error for a file or folder of safetensors, which "eyelet run" does not
// compute; it says what to do. All else passes.
func refuseWeights(path string) error {
	info, err := os.Stat(path)
	if err != nil || strings.EqualFold(filepath.Ext(path), ".gguf") {
		return nil
	}
	if info.IsDir() {
		if found, _ := filepath.Glob(filepath.Join(path, "*.safetensors")); len(found) == 0 {
			return nil
		}
		return &InputError{Err: fmt.Errorf("%s is a folder of safetensors", path),
			Remedy: fmt.Sprintf("make a GGUF file of it first: eyelet convert %s", path)}
	}
	if _, err := diffusion.Inspect(path, nil); err == nil || errors.Is(err, diffusion.ErrPart) {
		return onlyDraws(path)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil
	}
	f.Close()
	return &InputError{
		Err: fmt.Errorf("%s is a safetensors file, not a GGUF file", path),
		Remedy: fmt.Sprintf(
			"make one of the folder that it lies in, with its config.json: eyelet convert %s",
			filepath.Dir(path)),
	}
}
