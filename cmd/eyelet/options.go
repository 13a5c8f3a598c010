package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/grammar"
	"github.com/eyelet-engine/eyelet/models/store"
)

// runOptions are the flags of run.
type runOptions struct {
	spec    engine.ModelSpec
	stored  *store.Resolved // what the model's name stands for, nil for a file or the default
	threads int
	request engine.Request // what is the same for all questions

	images      []string
	sounds      []string
	material    material
	imageTokens string
	system      string
	grammarFile string
	schema      string
	seed        int64
	raw         bool
	json        bool
	jsonl       string
	boxes       string
	session     string
	kept        []engine.Message // of the session
	stats       bool
	trace       string
	demo        bool
	interactive bool
	quiet       bool
}

// demoFlags are those that go with --demo: the others could change answers that are known
// beforehand.
var demoFlags = []string{"demo", "threads", "gpu-layers", "device", "rpc", "tensor-split", "quiet",
	"verbose", "no-accel"}

// check finds flags that contradict each other and values out of range, before a model is loaded.
func (o *runOptions) check(cmd *cobra.Command, question string) error {
	if err := o.checkPairs(cmd, question); err != nil {
		return err
	}
	switch {
	case o.spec.Projector != "" && o.spec.Model == "":
		return usagef("--mmproj was given without --model")
	case o.jsonl == "-":
		return usagef("--jsonl wants the name of a file, so that a second run can continue it")
	case slices.Contains(o.request.Stop, ""):
		return usagef("--stop is empty; give the text before which the answer ends")
	}
	if len(o.images)+len(o.sounds) > 0 {
		if err := o.needProjector(); err != nil {
			return err
		}
	}
	if err := o.checkRanges(cmd.Flags()); err != nil {
		return err
	}
	var err error
	if o.request.ImageTokens, err = parseBudget(o.imageTokens); err != nil {
		return err
	}
	if o.seed >= 0 {
		seed := uint32(o.seed)
		o.request.Sampling.Seed = &seed
	}
	return nil
}

// maxImageTokens is more than any context holds.
const maxImageTokens = 1 << 20

// parseBudget reads bounds of image tokens: MIN-MAX, MIN-, or MAX alone.
func parseBudget(text string) (b engine.Budget, err error) {
	if text == "" {
		return b, nil
	}
	low, high, row := strings.Cut(text, "-")
	if !row {
		low, high = "", text
	} else if low == "" { // a number below 0, or a slip: the most alone has no sign before it
		return b, usagef("--image-tokens is %q; give the most tokens of a picture, as 256, or MIN-MAX, as 64-512", text)
	}
	for _, x := range []struct {
		text string
		to   *int
	}{{low, &b.Min}, {high, &b.Max}} {
		if x.text == "" {
			continue
		}
		if *x.to, err = strconv.Atoi(x.text); err != nil || *x.to < 1 || *x.to > maxImageTokens {
			return b, usagef("--image-tokens is %q; give the most tokens of a picture, as 256, or MIN-MAX, as 64-512, up to %d", text, maxImageTokens)
		}
	}
	if b.Max > 0 && b.Min > b.Max || b == (engine.Budget{}) {
		return b, usagef("--image-tokens is %q; give MIN-MAX, as 64-512", text)
	}
	return b, nil
}

// needProjector refuses a language model alone.
func (o *runOptions) needProjector() error {
	switch {
	case o.spec.Projector != "":
		return nil
	case o.stored != nil:
		return fmt.Errorf("%w: %s has no projector; give the mmproj file that belongs to it (--mmproj)", engine.ErrNoVision, o.stored.Name)
	case o.spec.Model != "":
		return fmt.Errorf("%w: %s was given without a projector; give the mmproj file that came with it (--mmproj)", engine.ErrNoVision, o.spec.Model)
	}
	return nil // the built-in model has one
}

func (o *runOptions) checkPairs(cmd *cobra.Command, question string) error {
	set := func(name string, on bool) string {
		if on {
			return name
		}
		return ""
	}
	pairs := [][2]string{
		{set("--json", o.json), set("--jsonl", o.jsonl != "")},
		{set("--json", o.json), set("--chat", o.interactive)},
		{set("--jsonl", o.jsonl != ""), set("--chat", o.interactive)},
		{set("--grammar", o.grammarFile != ""), set("--schema", o.schema != "")},
		{set("--demo", o.demo), set("a question", question != "")},
		{set("--raw", o.raw), set("--image", len(o.images) > 0)},
		{set("--raw", o.raw), set("--audio", len(o.sounds) > 0)},
		{set("--jsonl", o.jsonl != ""), set("--audio", len(o.sounds) > 0)},
		{set("--raw", o.raw), set("--system", o.system != "")},
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
			return usagef("%s and %s cannot be used together", pair[0], pair[1])
		}
	}
	return nil
}

// checkRanges compares numbers with what they can be, those of the flags that the command has;
// not-a-number is in no range.
func (o *runOptions) checkRanges(flags *pflag.FlagSet) error {
	s := &o.request.Sampling
	for _, n := range []struct {
		flag             string
		value, low, high float64
		give             string
	}{
		{"temp", float64(s.Temperature), 0, math.MaxFloat32,
			"0 (always the most probable token) or more"},
		{"top-k", float64(s.TopK), 0, math.MaxInt32, "1 or more, or 0 for all"},
		{"top-p", float64(s.TopP), 0, 1, "a share from 0 to 1"},
		{"min-p", float64(s.MinP), 0, 1, "a share from 0 to 1"},
		{"repeat-penalty", float64(s.RepeatPenalty), math.SmallestNonzeroFloat32, math.MaxFloat32,
			"more than 0; 1 is off"},
		{"seed", float64(o.seed), -1, 1<<32 - 2, "0 to 4294967294, or -1 for a new one each time"},
		{"max-tokens", float64(o.request.MaxTokens), 0, math.MaxInt32,
			"1 or more, or 0 for no limit"},
		{"threads", float64(o.threads), 0, 1024, "1 to 1024, or 0 for one a core"},
		{"parallel", float64(o.spec.Parallel), 1, 64, "1 to 64"},
		{"max-itl", o.spec.MaxGap.Seconds(), 0.001, 3600, "a time like 250ms, at most 1h"},
		{"ctx", float64(o.spec.Context), 0, 1 << 24, "1 to 16777216 tokens, or 0 for the default"},
	} {
		flag := flags.Lookup(n.flag)
		if flag == nil || n.value >= n.low && n.value <= n.high {
			continue
		}
		return usagef("--%s is %s; give %s", n.flag, flag.Value, n.give)
	}
	return nil
}

// readFiles reads the small files that flags name and looks for mistakes in them, before a model is
// loaded.
func (o *runOptions) readFiles() error {
	var err error
	if o.grammarFile != "" {
		if o.request.Grammar, err = readText(o.grammarFile, "the grammar"); err != nil {
			return err
		}
		if err := grammar.Check(o.request.Grammar); err != nil {
			return inputf("%s: %s", o.grammarFile, strings.TrimPrefix(err.Error(), "grammar: "))
		}
	}
	if err := o.readSchema(); err != nil {
		return err
	}
	if o.stored != nil && o.spec.ChatTemplate == "" {
		o.spec.TakeTemplate(o.stored.Template)
		return nil
	}
	return readChatTemplate(&o.spec.ChatTemplate)
}

// readChatTemplate replaces what --chat-template says by the text of the file, unless it is the
// name of a template.
func readChatTemplate(template *string) (err error) {
	switch *template {
	case "", "vicuna", "llava", "chatml":
		return nil
	}
	path := *template
	if *template, err = readText(path, "the chat template"); err != nil {
		return err
	}
	if strings.TrimSpace(*template) == "" {
		return inputf("the chat template %s is empty", path)
	}
	if _, err := chat.Parse(*template, chat.Options{}); err != nil {
		return inputf("%s: %s", path, strings.TrimPrefix(err.Error(), "chat template: "))
	}
	return nil
}

// readSchema takes --schema for a file unless it is a schema by the looks of it.
func (o *runOptions) readSchema() error {
	text := strings.TrimSpace(o.schema)
	name, fail := "--schema", usagef
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(text, "{"), text == "true", text == "false":
	default:
		var err error
		name, fail = text, inputf
		if text, err = readText(name, "the JSON schema"); err != nil {
			return err
		}
	}
	o.request.Schema = []byte(text)
	if len(text) == 0 {
		return fail("the JSON schema %s is empty", name)
	}
	if _, err := grammar.Compile(context.Background(), o.request.Schema, grammar.Options{}); err !=
		nil {
		return fail("%s: %s", name, strings.TrimPrefix(err.Error(), "grammar: "))
	}
	return nil
}

// readText reads a text file that a flag names.
func readText(path, what string) (string, error) {
	data, err := readLimited(path, 1<<20)
	if err != nil {
		return "", inputf("%s %s: %w", what, path, causeOf(err))
	}
	return string(data), nil
}

// readLimited reads a whole file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLarge := fmt.Errorf("the file is larger than %s", bytesText(uint64(limit)))
	if info, err := f.Stat(); err == nil && info.Size() > limit {
		return nil, tooLarge
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // a pipe has no size
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, tooLarge
	}
	return data, nil
}
