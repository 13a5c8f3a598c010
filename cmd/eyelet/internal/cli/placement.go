package cli

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/store"
)

// AddPlacementFlags adds the flags that say where a model lies.
func AddPlacementFlags(f *pflag.FlagSet, spec *engine.ModelSpec) {
	f.StringVar(&spec.Device, "device",
		"", "devices that take layers of the model, with commas between them, as \"eyelet "+
			"devices\" names them; none or cpu for the CPU alone (default: all)")
	f.StringVar(&spec.RPC, "rpc",
		"", "other machines that take layers of the model, as HOST:PORT with commas between "+
			"them, where \"eyelet rpc\" runs")
	f.Var((*shares)(&spec.TensorSplit), "tensor-split",
		"share of the layers that each device gets, in proportion, as 3,1 (default: by free "+
			"memory)")
	f.StringVar(&spec.VisionDevice, "vision-device",
		"", "GPU that runs the vision tower; none or cpu for the CPU; auto for what is faster "+
			"here, measured once (default: auto)")
	f.Var((*layerCount)(&spec.GPULayers), "gpu-layers",
		"layers to place on GPUs: a number, all, or none, with which no GPU computes anything")
	f.BoolVar(&spec.Shared, "mmap", false, "map the model's file, so that processes share its "+
		"memory and loading is short, also where reading it would make answers faster")
}

// PlacementGiven reports whether a flag says where the model lies, be it what holds anyway.
func PlacementGiven(f *pflag.FlagSet) bool {
	return slices.ContainsFunc([]string{"device", "rpc", "tensor-split", "vision-device",
		"gpu-layers"}, f.Changed)
}

// layerCount is ModelSpec.GPULayers as a flag: numbers as llama.cpp takes them.
type layerCount int

// Set implements pflag.Value.
func (n *layerCount) Set(text string) error {
	switch text = strings.ToLower(strings.TrimSpace(text)); text {
	case "all", "auto":
		*n = 0
		return nil
	case "none", "0", "-1":
		*n = -1
		return nil
	}
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || count > math.MaxInt32 {
		return fmt.Errorf("give a number of layers, all or none")
	}
	*n = layerCount(count)
	return nil
}

func (n *layerCount) String() string {
	switch {
	case *n == 0:
		return "all"
	case *n < 0:
		return "none"
	}
	return strconv.Itoa(int(*n))
}

// Type implements pflag.Value.
func (n *layerCount) Type() string { return "N" }

// shares is ModelSpec.TensorSplit as a flag.
type shares []float32

// Set implements pflag.Value.
func (s *shares) Set(text string) error {
	parsed, err := store.ParseShares(text)
	*s = shares(parsed)
	return err
}

func (s *shares) String() string { return store.Shares(*s).String() }

// Type implements pflag.Value.
func (s *shares) Type() string { return "SHARES" }
