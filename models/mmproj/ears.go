package mmproj

import (
	"errors"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/models/gguf"
)

// CheckEars compares the numbers that a file states about its encoder with bounds and with its
// tensors, beyond which libmtmd aborts or reads where nothing is, and returns the kind of its
// projector.
func CheckEars(f *gguf.File) (kind string, err error) {
	if err := checkKind(f); err != nil {
		return "", err
	}
	for _, key := range []string{"clip.audio.projector_type", "clip.projector_type"} {
		if kind, _ = f.Str(key); kind != "" {
			break
		}
	}
	if kind == "" {
		return "", errors.New("clip.audio.projector_type is missing")
	}
	number := func(key string, low, high uint64) (uint64, error) {
		n, ok := f.Uint("clip.audio." + key)
		if !ok || n < low || n > high {
			return 0, fmt.Errorf("clip.audio.%s is missing or not between %d and %d", key, low,
				high)
		}
		return n, nil
	}
	width, err := number("embedding_length", 1, 1<<16)
	if err != nil {
		return "", err
	}
	blocks, err := number("block_count", 1, 1024)
	if err != nil {
		return "", err
	}
	bins, err := number("num_mel_bins", 1, 1024)
	if err != nil {
		return "", err
	}
	if heads, err := number("attention.head_count", 1, width); err != nil {
		return "", err
	} else if width%heads != 0 {
		return "", fmt.Errorf("clip.audio.attention.head_count %d does not divide the width %d",
			heads, width)
	}
	if err := f.CheckEpsilons(); err != nil {
		return "", err
	}
	if n, ok := f.Uint("clip.audio.projector.stack_factor"); ok && (n < 1 || n > 64) {
		return "", fmt.Errorf("clip.audio.projector.stack_factor is %d", n)
	} else if ok && (3000+n-1)/n/2 != (1500+n-1)/n {
		// libmtmd 0.7 rounds the frames of 30 seconds before it halves them, and its graph
		// afterwards; it ends the process where that differs.
		return "", fmt.Errorf(
			"clip.audio.projector.stack_factor is %d, which libmtmd 0.7 does not compute", n)
	}
	return kind, checkEarTensors(f, width, bins, blocks)
}

// checkEarTensors compares the tensors of Whisper's encoder, which most families have, with the
// numbers that the file states: kernels over the bins of the spectrum, positions, and blocks of the
// width.
func checkEarTensors(f *gguf.File, width, bins, blocks uint64) error {
	dims := map[string][]uint64{ // 0 for any
		"a.conv1d.1.weight": {0, bins, width}, "a.conv1d.2.weight": {0, width, width},
		"a.position_embd.weight": {width, 0},
	}
	for i := range blocks {
		dims[fmt.Sprintf("a.blk.%d.ln1.weight", i)] = []uint64{width}
		dims[fmt.Sprintf("a.blk.%d.ln2.weight", i)] = []uint64{width}
	}
	for _, t := range f.Tensors() {
		want, known := dims[t.Name]
		fits := len(t.Dims) == len(want)
		for i := 0; fits && i < len(want); i++ {
			fits = want[i] == 0 || t.Dims[i] == want[i]
		}
		switch {
		case !known:
		case !fits:
			return fmt.Errorf("tensor %s has dimensions %v, which do not fit %d bins and a width "+
				"of %d", t.Name, t.Dims, bins, width)
		case strings.HasPrefix(t.Name, "a.conv1d.") && t.Type != gguf.F16:
			return fmt.Errorf("tensor %s is stored as %v, and ggml takes kernels in F16", t.Name,
				t.Type)
		case t.Name == "a.position_embd.weight" && t.Dims[1] < 1500:
			return fmt.Errorf("tensor %s has %d positions, and 30 seconds have 1500", t.Name,
				t.Dims[1])
		}
	}
	return nil
}
