package chat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/grammar"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Options are the flags of run.
type Options struct {
	Spec    engine.ModelSpec
	Stored  *store.Resolved // what the model's name stands for, nil for a file or the default
	Threads int
	Request engine.Request // what is the same for all questions

	images      []string
	sounds      []string
	material    pictures.Material
	imageTokens string
	System      string
	grammarFile string
	schema      string
	seed        int64
	raw         bool
	JSON        bool
	jsonl       string
	boxes       string
	session     string
	kept        []engine.Message // of the session
	stats       bool
	trace       string
	demo        bool
	interactive bool
	Quiet       bool
}

// demoFlags are those that go with --demo: the others could change answers that are known
// beforehand.
var demoFlags = []string{"demo", "threads", "gpu-layers", "device", "rpc", "tensor-split", "quiet",
	"verbose", "no-accel"}

// check finds flags that contradict each other and values out of range, before a model is loaded.
func (o *Options) check(cmd *cobra.Command, question string) error {
	if err := o.checkPairs(cmd, question); err != nil {
		return err
	}
	switch {
	case o.Spec.Projector != "" && o.Spec.Model == "":
		return cli.Usagef("--mmproj was given without --model")
	case o.jsonl == "-":
		return cli.Usagef("--jsonl wants the name of a file, so that a second run can continue it")
	case slices.Contains(o.Request.Stop, ""):
		return cli.Usagef("--stop is empty; give the text before which the answer ends")
	}
	if len(o.images)+len(o.sounds) > 0 {
		if err := o.RequireProjector(); err != nil {
			return err
		}
	}
	err := cli.CheckRanges(cmd.Flags(), "temp", "top-k", "top-p", "min-p", "repeat-penalty", "seed",
		"max-tokens", "threads", "parallel", "max-itl", "ctx")
	if err != nil {
		return err
	}
	if o.Request.ImageTokens, err = cli.ParseBudget(o.imageTokens); err != nil {
		return err
	}
	if o.seed >= 0 {
		seed := uint32(o.seed)
		o.Request.Sampling.Seed = &seed
	}
	return nil
}

// RequireProjector refuses a language model alone.
func (o *Options) RequireProjector() error {
	switch {
	case o.Spec.Projector != "":
		return nil
	case o.Stored != nil:
		return fmt.Errorf("%w: %s has no projector; give the mmproj file that belongs to it (--mmproj)", engine.ErrNoVision, o.Stored.Name)
	case o.Spec.Model != "":
		return fmt.Errorf("%w: %s was given without a projector; give the mmproj file that came with it (--mmproj)", engine.ErrNoVision, o.Spec.Model)
	}
	return nil // the built-in model has one
}

func (o *Options) checkPairs(cmd *cobra.Command, question string) error {
	set := func(name string, on bool) string {
		if on {
			return name
		}
		return ""
	}
	pairs := [][2]string{
		{set("--json", o.JSON), set("--jsonl", o.jsonl != "")},
		{set("--json", o.JSON), set("--chat", o.interactive)},
		{set("--jsonl", o.jsonl != ""), set("--chat", o.interactive)},
		{set("--grammar", o.grammarFile != ""), set("--schema", o.schema != "")},
		{set("--demo", o.demo), set("a question", question != "")},
		{set("--raw", o.raw), set("--image", len(o.images) > 0)},
		{set("--raw", o.raw), set("--audio", len(o.sounds) > 0)},
		{set("--jsonl", o.jsonl != ""), set("--audio", len(o.sounds) > 0)},
		{set("--raw", o.raw), set("--system", o.System != "")},
		{set("--raw", o.raw), set("--chat", o.interactive)},
		{set("--session", o.session != ""), set("--raw", o.raw)},
		{set("--boxes", o.boxes != ""), set("--raw", o.raw)},
		{set("--session", o.session != ""), set("--jsonl", o.jsonl != "")},
		// both read stdin
		{set("--image -", slices.Contains(o.images, "-")), set("--chat", o.interactive)},
	}
	if o.demo {
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if !slices.Contains(demoFlags, f.Name) {
				pairs = append(pairs, [2]string{"--demo", "--" + f.Name})
			}
		})
	}
	for _, pair := range pairs {
		if pair[0] != "" && pair[1] != "" {
			return cli.Usagef("%s and %s cannot be used together", pair[0], pair[1])
		}
	}
	return nil
}

// readFiles reads the small files that flags name and looks for mistakes in them, before a model is
// loaded.
func (o *Options) readFiles() error {
	var err error
	if o.grammarFile != "" {
		if o.Request.Grammar, err = cli.ReadText(o.grammarFile, "the grammar"); err != nil {
			return err
		}
		if err := grammar.Check(o.Request.Grammar); err != nil {
			return cli.Inputf("%s: %s", o.grammarFile, strings.TrimPrefix(err.Error(), "grammar: "))
		}
	}
	if o.Request.Schema, err = cli.ReadSchema(o.schema); err != nil {
		return err
	}
	if o.Stored != nil && o.Spec.ChatTemplate == "" {
		o.Spec.TakeTemplate(o.Stored.Template)
		return nil
	}
	return cli.ReadChatTemplate(&o.Spec.ChatTemplate)
}
