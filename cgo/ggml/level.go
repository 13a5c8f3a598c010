package ggml

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

// libraryLevels gives, for the names that ggml's build gives its CPU libraries for x86-64, the
// level of instruction sets that each needs. Those between two levels stand with the upper one.
var libraryLevels = map[string]isa.Level{
	"x64":            isa.Plain,
	"sse42":          isa.AVX2,
	"sandybridge":    isa.AVX2,
	"ivybridge":      isa.AVX2,
	"piledriver":     isa.AVX2,
	"haswell":        isa.AVX2,
	"alderlake":      isa.AVXVNNI,
	"skylakex":       isa.AVX512,
	"cannonlake":     isa.VNNI,
	"cascadelake":    isa.VNNI,
	"icelake":        isa.VNNI,
	"cooperlake":     isa.BF16,
	"zen4":           isa.BF16,
	"sapphirerapids": isa.AMX,
}

// featureLevels gives the level that a feature of a CPU library needs, by its name in ggml's list;
// others need none.
var featureLevels = map[string]isa.Level{
	"SSE3":        isa.AVX2,
	"SSSE3":       isa.AVX2,
	"AVX":         isa.AVX2,
	"AVX2":        isa.AVX2,
	"F16C":        isa.AVX2,
	"FMA":         isa.AVX2,
	"BMI2":        isa.AVX2,
	"AVX_VNNI":    isa.AVXVNNI,
	"AVX512":      isa.AVX512,
	"AVX512_VBMI": isa.VNNI,
	"AVX512_VNNI": isa.VNNI,
	"AVX512_BF16": isa.BF16,
	"AMX_INT8":    isa.AMX,
}

// within returns the CPU libraries of a list that a level includes. Native includes them all, also
// those of unknown names.
func within(level isa.Level, paths []string) []string {
	if level == isa.Native {
		return paths
	}
	var kept []string
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "libggml-cpu-"), ".so")
		if needs, known := libraryLevels[name]; known && level.Includes(needs) {
			kept = append(kept, path)
		}
	}
	return kept
}

// checkFeatures returns an error if the CPU backend, however it came to be loaded, uses
// instructions that a level does not include.
func checkFeatures(level isa.Level, library string, features []Feature) error {
	library = cmp.Or(library, "the CPU backend, which is part of libggml,")
	for _, f := range features {
		if needs, known := featureLevels[f.Name]; known && f.Value != "0" &&
			!level.Includes(needs) {
			return fmt.Errorf("%w: %s=%v, but %s uses %s", ErrNoBackend, isa.Variable, level,
				library, f.Name)
		}
	}
	return nil
}
