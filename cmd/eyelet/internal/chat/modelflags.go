package chat

import (
	"errors"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/spf13/pflag"
)

// ResolveModel finds the model that --model names, or the first argument if it is the name of one,
// and returns the arguments that are left.
func (o *Options) ResolveModel(args []string) ([]string, error) {
	if o.Spec.Model == "" && !o.demo && len(args) > 0 && o.Spec.Projector == "" {
		r, err := cli.FindStored(args[0])
		switch {
		case err == nil:
			if err := cli.RefuseDrawing(r); err != nil {
				return nil, err
			}
			o.Stored, args = r, args[1:]
		case errors.Is(err, store.ErrNotFound) && strings.Contains(args[0], ":"):
			return nil, &cli.InputError{Err: fmt.Errorf("there is no model %q", args[0]),
				Remedy: `"eyelet list" shows the models`}
		case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrName):
			return nil, err
		}
	} else if o.Spec.Model != "" {
		var err error
		if o.Stored, err = cli.FindModel(o.Spec.Model); err != nil {
			return nil, err
		}
	}
	if o.Spec.Projector != "" && o.Spec.Model != "" {
		var err error
		if o.Spec.Projector, err = cli.FindProjector(o.Spec.Projector); err != nil {
			return nil, err
		}
	}
	if o.Stored == nil {
		return args, nil
	}
	o.Spec.Name, o.Spec.Model = o.Stored.Name.String(), o.Stored.Path
	if o.Spec.Projector == "" {
		o.Spec.Projector = o.Stored.Projector
	}
	return args, nil
}

// applyManifest sets what the model's manifest recommends and no flag says otherwise.
func (o *Options) applyManifest(flags *pflag.FlagSet) {
	if o.Stored == nil {
		return
	}
	p, sampling := o.Stored.Params, &o.Request.Sampling
	if o.System == "" && !o.raw {
		o.System = o.Stored.System
	}
	prefer(flags, "temp", &sampling.Temperature, p.Temperature)
	prefer(flags, "top-k", &sampling.TopK, p.TopK)
	prefer(flags, "top-p", &sampling.TopP, p.TopP)
	prefer(flags, "min-p", &sampling.MinP, p.MinP)
	prefer(flags, "repeat-penalty", &sampling.RepeatPenalty, p.RepeatPenalty)
	prefer(flags, "", &sampling.TypicalP, p.TypicalP)
	prefer(flags, "", &sampling.FrequencyPenalty, p.FrequencyPenalty)
	prefer(flags, "", &sampling.PresencePenalty, p.PresencePenalty)
	prefer(flags, "", &sampling.PenaltyLastN, p.RepeatLastN)
	prefer(flags, "seed", &o.seed, p.Seed)
	prefer(flags, "ctx", &o.Spec.Context, p.Context)
	if !cli.PlacementGiven(flags) {
		o.Spec.TakePlacement(p.Placement())
	}
	if p.MaxTokens != nil && *p.MaxTokens > 0 {
		prefer(flags, "max-tokens", &o.Request.MaxTokens, p.MaxTokens)
	}
	if !flags.Changed("stop") {
		for _, text := range p.Stop {
			if text != "" {
				o.Request.Stop = append(o.Request.Stop, text)
			}
		}
	}
}

// prefer sets a value that the manifest has, unless the user set the flag.
func prefer[T any](flags *pflag.FlagSet, flag string, to, from *T) {
	if from != nil && (flag == "" || !flags.Changed(flag)) {
		*to = *from
	}
}
