package quantize

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// layerTensor matches the names of tensors that belong to a layer.
var layerTensor = regexp.MustCompile(`^blk\.(\d+)\.`)

// blockCount is the number of a model's layers.
func blockCount(f *gguf.File) int {
	n, _ := f.Uint(f.Architecture() + ".block_count")
	return int(min(n, 1<<20))
}

// checkPruning refuses layers that a model has not, all of them at once, and models of which a key
// has a value for each layer: with some of the layers gone, those would belong to others.
func checkPruning(f *gguf.File, prune []int) error {
	if len(prune) == 0 {
		return nil
	}
	layers := blockCount(f)
	for i, layer := range prune {
		if layer < 0 || layer >= layers {
			return fmt.Errorf("quantize: %w: %s has no layer %d to leave out; it has %d, from 0 on",
				ErrOptions, f.Path(), layer, layers)
		}
		if slices.Contains(prune[:i], layer) {
			return fmt.Errorf("quantize: %w: layer %d is left out twice", ErrOptions, layer)
		}
	}
	if len(prune) == layers {
		return fmt.Errorf("quantize: %w: no layer of %s would be left", ErrOptions, f.Path())
	}
	for _, kv := range f.Keys() {
		if strings.HasPrefix(kv.Key, f.Architecture()+".") && kv.Value.Len() == layers {
			return fmt.Errorf("quantize: %w: %s has a value for each layer in %s, so that none can be left out",
				ErrOptions, f.Path(), kv.Key)
		}
	}
	return nil
}

// sourceName is the name that a tensor had before layers were left out.
func sourceName(name string, prune []int) string {
	m := layerTensor.FindStringSubmatchIndex(name)
	if m == nil || len(prune) == 0 {
		return name
	}
	layer, err := strconv.Atoi(name[m[2]:m[3]])
	if err != nil {
		return name
	}
	for _, gone := range slices.Sorted(slices.Values(prune)) {
		if gone <= layer {
			layer++
		}
	}
	return name[:m[2]] + strconv.Itoa(layer) + name[m[3]:]
}
