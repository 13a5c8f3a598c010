package layout

import (
	"fmt"
	"math"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// maxAspect is how much longer than the other a side may be before the processors of Qwen and GLM
// refuse the picture.
const maxAspect = 200

// smart is the layout of Qwen2-VL, Qwen2.5-VL and Qwen3-VL, after Qwen2VLImageProcessor of
// transformers 5.24. A picture is stretched to sides that are multiples of factor, near its own
// size and shape, of no fewer than least and no more than most pixels.
type smart struct {
	name          string
	factor        int // pixels of a token's side
	least, most   int // pixels of the stretched picture
	before, after string
	// how often the processor counts the picture's pixels; GLM counts each picture as two frames
	frames int
}

func newSmart(f *gguf.File, opt Options, l smart) (Layout, error) {
	patch, err := number(f, "patch_size", 1, maxPatch, 0)
	if err != nil {
		return nil, err
	}
	merge, err := number(f, "spatial_merge_size", 1, maxMerge, 2)
	if err != nil {
		return nil, err
	}
	l.factor = patch * merge
	if l.least, err = number(f, "image_min_pixels", 1, maxPixels, l.least); err != nil {
		return nil, err
	}
	if l.most, err = number(f, "image_max_pixels", 1, maxPixels, l.most); err != nil {
		return nil, err
	}
	if area := l.frames * l.factor * l.factor; opt.Tokens > 0 && opt.Tokens < l.most/area {
		l.most = opt.Tokens * area
	}
	l.least = min(l.least, l.most)
	return &l, nil
}

// newQwen2VL makes the layout of Qwen2-VL and Qwen2.5-VL, whose files do not state the limits:
// those of their preprocessor_config.json.
func newQwen2VL(f *gguf.File, opt Options) (Layout, error) {
	return newSmart(f, opt, smart{name: "qwen2vl", least: 56 * 56, most: 12845056, frames: 1,
		before: "<|vision_start|>", after: "<|vision_end|>"})
}

// newQwen3VL makes the layout of Qwen3-VL, as newQwen2VL does.
func newQwen3VL(f *gguf.File, opt Options) (Layout, error) {
	return newSmart(f, opt, smart{name: "qwen3vl", least: 256 * 256, most: 4096 * 4096, frames: 1,
		before: "<|vision_start|>", after: "<|vision_end|>"})
}

func (l *smart) Variable() bool { return true }

// MaxTokens returns the tokens of a picture at the limit of pixels. With a very low limit it is
// more: a side has one token at least, and pictures are enlarged to the least size.
func (l *smart) MaxTokens() int {
	area := l.frames * l.factor * l.factor
	least := float64(l.least)/float64(area) + 1
	return max(l.most/area, maxAspect, int(least+15*math.Sqrt(least)+2))
}

func (l *smart) String() string {
	return fmt.Sprintf("%s factor %d pixels %d-%d", l.name, l.factor, l.least, l.most)
}

func (l *smart) Plan(w, h int) (*Plan, error) {
	if err := checkPicture(w, h); err != nil {
		return nil, err
	}
	sw, sh, err := l.resize(w, h)
	if err != nil {
		return nil, err
	}
	return whole(sw, sh, imaging.Bicubic, sw/l.factor*(sh/l.factor), l.before, l.after), nil
}

// resize is smart_resize of image_processing_qwen2_vl.py, in whose arithmetic halves round to even.
func (l *smart) resize(w, h int) (int, int, error) {
	if max(w, h) > maxAspect*min(w, h) {
		return 0, 0, refuse("one side of %d x %d pixels is over %d times the other", w, h,
			maxAspect)
	}
	factor, fw, fh := float64(l.factor), float64(w), float64(h)
	round := func(x float64) int { return int(math.RoundToEven(x/factor)) * l.factor }
	sw, sh := round(fw), round(fh)
	switch pixels := l.frames * sw * sh; {
	case pixels > l.most:
		beta := math.Sqrt(float64(l.frames*w*h) / float64(l.most))
		sw = max(l.factor, int(math.Floor(fw/beta/factor))*l.factor)
		sh = max(l.factor, int(math.Floor(fh/beta/factor))*l.factor)
	case pixels < l.least:
		beta := math.Sqrt(float64(l.least) / float64(l.frames*w*h))
		sw = int(math.Ceil(fw*beta/factor)) * l.factor
		sh = int(math.Ceil(fh*beta/factor)) * l.factor
	}
	if sw < l.factor || sh < l.factor {
		return 0, 0, refuse("%d x %d pixels", w, h)
	}
	return sw, sh, nil
}
