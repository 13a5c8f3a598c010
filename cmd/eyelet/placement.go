package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/engine"
)

// placementFlags adds the flags that say where a model lies.
func placementFlags(f *pflag.FlagSet, spec *engine.ModelSpec) {
	f.StringVar(&spec.Device, "device", "", "devices that take layers of the model, with commas between them, as \"eyelet devices\" names them; none or cpu for the CPU alone (default: all)")
	f.StringVar(&spec.RPC, "rpc", "", "other machines that take layers of the model, as HOST:PORT with commas between them, where \"eyelet rpc\" runs")
	f.Var((*layerCount)(&spec.GPULayers), "gpu-layers", "layers to place on GPUs: a number, all, or none, with which no GPU computes anything")
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
