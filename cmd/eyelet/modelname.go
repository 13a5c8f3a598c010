package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/store"
)

// builtinNames are those of the model inside the program, where the store has no model of that
// name.
var builtinNames = []string{"builtin", builtin.Name}

// openStore opens the user's store.
func openStore() (*store.Store, error) { return store.Open(store.Options{}) }

// findModel returns the model that a flag or argument names, or nil where ref is the path of a
// file. A file comes before a name. A model that draws is refused.
func findModel(ref string) (*store.Resolved, error) {
	r, err := findAny(ref)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, refuseWeights(ref)
	}
	return r, refuseDrawing(r)
}

// findAny is findModel for models of all kinds.
func findAny(ref string) (*store.Resolved, error) {
	if info, err := os.Stat(ref); err == nil && !info.IsDir() {
		return nil, nil
	}
	r, err := findStored(ref)
	switch {
	case err == nil:
		return r, nil
	case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrName):
		return nil, err
	case isPath(ref):
		return nil, nil // what is wrong with the path will be told
	}
	return nil, &inputError{err: fmt.Errorf("there is no model %q and no file of that name", ref),
		remedy: `"eyelet list" shows the models`}
}

// findStored returns the model of a name or digest: the store's, Ollama's, or the built-in one.
func findStored(ref string) (*store.Resolved, error) {
	s, err := openStore()
	if err == nil {
		var r *store.Resolved
		if r, err = s.Resolve(ref); err == nil {
			return r, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	if !slices.Contains(builtinNames, strings.TrimSuffix(ref, ":latest")) {
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

// findProjector returns the path of a projector that a flag names: a file, or a model of the store
// that has one.
func findProjector(ref string) (string, error) {
	r, err := findModel(ref)
	if err != nil || r == nil {
		return ref, err
	}
	if r.Projector == "" {
		return "", fmt.Errorf("%w: %s has no projector", engine.ErrNoVision, r.Name)
	}
	return r.Projector, nil
}

// takeModel finds the model that --model names, or the first argument if it is the name of one, and
// returns the arguments that are left.
func (o *runOptions) takeModel(args []string) ([]string, error) {
	if o.spec.Model == "" && !o.demo && len(args) > 0 && o.spec.Projector == "" {
		r, err := findStored(args[0])
		switch {
		case err == nil:
			if err := refuseDrawing(r); err != nil {
				return nil, err
			}
			o.stored, args = r, args[1:]
		case errors.Is(err, store.ErrNotFound) && strings.Contains(args[0], ":"):
			return nil, &inputError{err: fmt.Errorf("there is no model %q", args[0]),
				remedy: `"eyelet list" shows the models`}
		case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrName):
			return nil, err
		}
	} else if o.spec.Model != "" {
		var err error
		if o.stored, err = findModel(o.spec.Model); err != nil {
			return nil, err
		}
	}
	if o.spec.Projector != "" && o.spec.Model != "" {
		var err error
		if o.spec.Projector, err = findProjector(o.spec.Projector); err != nil {
			return nil, err
		}
	}
	if o.stored == nil {
		return args, nil
	}
	o.spec.Name, o.spec.Model = o.stored.Name.String(), o.stored.Path
	if o.spec.Projector == "" {
		o.spec.Projector = o.stored.Projector
	}
	return args, nil
}

// applyManifest sets what the model's manifest recommends and no flag says otherwise.
func (o *runOptions) applyManifest(flags *pflag.FlagSet) {
	if o.stored == nil {
		return
	}
	p, sampling := o.stored.Params, &o.request.Sampling
	if o.system == "" && !o.raw {
		o.system = o.stored.System
	}
	take(flags, "temp", &sampling.Temperature, p.Temperature)
	take(flags, "top-k", &sampling.TopK, p.TopK)
	take(flags, "top-p", &sampling.TopP, p.TopP)
	take(flags, "min-p", &sampling.MinP, p.MinP)
	take(flags, "repeat-penalty", &sampling.RepeatPenalty, p.RepeatPenalty)
	take(flags, "", &sampling.TypicalP, p.TypicalP)
	take(flags, "", &sampling.FrequencyPenalty, p.FrequencyPenalty)
	take(flags, "", &sampling.PresencePenalty, p.PresencePenalty)
	take(flags, "", &sampling.PenaltyLastN, p.RepeatLastN)
	take(flags, "seed", &o.seed, p.Seed)
	take(flags, "ctx", &o.spec.Context, p.Context)
	if p.MaxTokens != nil && *p.MaxTokens > 0 {
		take(flags, "max-tokens", &o.request.MaxTokens, p.MaxTokens)
	}
	if !flags.Changed("stop") {
		for _, text := range p.Stop {
			if text != "" {
				o.request.Stop = append(o.request.Stop, text)
			}
		}
	}
}

// take sets a value that the manifest has, unless the user set the flag.
func take[T any](flags *pflag.FlagSet, flag string, to, from *T) {
	if from != nil && (flag == "" || !flags.Changed(flag)) {
		*to = *from
	}
}

// completeModels offers the names of models and GGUF files.
func completeModels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s, err := openStore()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	models, err := s.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names := slices.Clone(builtinNames[:1])
	for _, m := range models {
		names = append(names, m.Name.String())
	}
	return names, cobra.ShellCompDirectiveDefault
}
