package cli

import (
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/spf13/cobra"
)

// TowerFlags are the flags that say which tower runs, and how.
type TowerFlags struct {
	Projector string
	Threads   int
}

// Register adds the flags to a command.
func (o *TowerFlags) Register(cmd *cobra.Command) {
	f := OrderedFlags(cmd)
	f.StringVar(&o.Projector, "mmproj", "",
		"GGUF file of the vision projector, or name of a model (default: the built-in model's)")
	AddThreadsFlag(f, &o.Threads)
	_ = cmd.MarkFlagFilename("mmproj", "gguf")
}

// Resolve fills in the defaults.
func (o *TowerFlags) Resolve() (err error) {
	if o.Threads < 0 || o.Threads > 1024 {
		return Usagef("--threads is %d; give 1 to 1024, or 0 for one a core", o.Threads)
	}
	if o.Projector == "" {
		_, o.Projector, err = builtin.Extract("")
	} else {
		o.Projector, err = FindProjector(o.Projector)
	}
	if err != nil {
		return err
	}
	o.Threads, err = ThreadCount(o.Threads)
	return err
}

// ParsePrecision reads the value of --precision. A name that is unknown is a [UsageError].
func ParsePrecision(name string) (nn.Precision, error) {
	p, err := nn.ParsePrecision(name)
	if err != nil {
		return p, Usagef("precision %q is unknown; give auto, f32, bf16 or int8", name)
	}
	return p, nil
}
