package cli

import (
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/engine"
)

// OrderedFlags returns the flags of a command, whose help lists them in the order in which they are
// added.
func OrderedFlags(cmd *cobra.Command) *pflag.FlagSet {
	f := cmd.Flags()
	f.SortFlags = false
	return f
}

// AddThreadsFlag adds the flag --threads.
func AddThreadsFlag(f *pflag.FlagSet, threads *int) {
	f.IntVarP(threads, "threads", "t", 0, "compute threads (default: one a core)")
}

// ThreadCount returns the number of compute threads that n asks for: one a core for 0.
func ThreadCount(n int) (int, error) {
	e, err := engine.New(engine.Options{Threads: n})
	if err != nil {
		return 0, err
	}
	return e.Threads(), e.Close()
}

// AddVisionFlags adds the flags that say with which types a model is computed, and by what.
func AddVisionFlags(f *pflag.FlagSet, spec *engine.ModelSpec) {
	f.StringVar(&spec.CacheType, "cache-type", "f16",
		"type of the KV cache: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0")
	f.StringVar(&spec.Encoder, "vision-backend", engine.EncoderAuto,
		"who runs the vision tower: auto, native, mtmd (libmtmd), plain (slow, for comparisons)")
	f.StringVar(&spec.VisionPrecision, "vision-precision", "auto",
		"arithmetic of native towers: auto, f32, bf16, int8, int16")
}

// CompleteWith offers the values of a flag when a shell completes it.
func CompleteWith(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag,
		cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// ranges are what numbers can be that flags of these names have, whatever the command.
var ranges = map[string]struct {
	low, high float64
	give      string
}{
	"temp":           {0, math.MaxFloat32, "0 (always the most probable token) or more"},
	"top-k":          {0, math.MaxInt32, "1 or more, or 0 for all"},
	"top-p":          {0, 1, "a share from 0 to 1"},
	"min-p":          {0, 1, "a share from 0 to 1"},
	"repeat-penalty": {math.SmallestNonzeroFloat32, math.MaxFloat32, "more than 0; 1 is off"},
	"seed":           {-1, 1<<32 - 2, "0 to 4294967294, or -1 for a new one each time"},
	"max-tokens":     {0, math.MaxInt32, "1 or more, or 0 for no limit"},
	"threads":        {0, 1024, "1 to 1024, or 0 for one a core"},
	"draw-threads":   {0, 1024, "1 to 1024, or 0 for one a core"},
	"parallel":       {1, 64, "1 to 64"},
	"max-itl":        {0.001, 3600, "a time like 250ms, at most 1h"},
	"ctx":            {0, 1 << 24, "1 to 16777216 tokens, or 0 for the default"},
}

// CheckRanges compares the numbers that flags have with what they can be; not-a-number is in no
// range.
func CheckRanges(flags *pflag.FlagSet, names ...string) error {
	for _, name := range names {
		text, r := flags.Lookup(name).Value.String(), ranges[name]
		value, err := strconv.ParseFloat(text, 64)
		if d, isTime := time.ParseDuration(text); err != nil && isTime == nil {
			value = d.Seconds()
		}
		if !(value >= r.low && value <= r.high) {
			return Usagef("--%s is %s; give %s", name, text, r.give)
		}
	}
	return nil
}
