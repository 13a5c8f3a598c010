package fields

import (
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// maxImageTokens bounds the bounds that a client can set.
const maxImageTokens = 1 << 20

// lowDetail is the most image tokens of a picture whose detail is "low". OpenAI counts 85 for it,
// of its own kind; most families here make of a picture of 448 by 448 pixels 256.
const lowDetail = 256

// ImageTokens are the bounds of the image tokens of each picture, in the words of llama-server's
// flags.
type ImageTokens struct {
	Min *Whole `json:"image_min_tokens"`
	Max *Whole `json:"image_max_tokens"`
}

// Apply makes the bounds part of a request.
func (b *ImageTokens) Apply(r *engine.Request) error {
	for _, x := range []struct {
		name string
		from *Whole
		to   *int
	}{{"image_min_tokens", b.Min, &r.ImageTokens.Min}, {"image_max_tokens", b.Max,
		&r.ImageTokens.Max}} {
		if x.from == nil {
			continue
		}
		if *x.from < 0 || *x.from > maxImageTokens {
			return failure.Field(x.name, "%s is %d; give 1 to %d, or 0 for no bound", x.name,
				*x.from,
				maxImageTokens)
		}
		*x.to = int(*x.from)
	}
	if t := r.ImageTokens; t.Max > 0 && t.Min > t.Max {
		return failure.Field("image_min_tokens",
			"image_min_tokens is %d, above image_max_tokens, which is %d", t.Min, t.Max)
	}
	return nil
}

// Detail returns what OpenAI's word for the detail of a picture means here: low bounds its tokens,
// the others leave them to the model. param names the picture in errors.
func Detail(detail, param string) (engine.Budget, error) {
	switch detail {
	case "low":
		return engine.Budget{Max: lowDetail}, nil
	case "", "auto", "high", "original":
		return engine.Budget{}, nil
	}
	return engine.Budget{}, failure.Field(param, "%s has the detail %.40q; give low, high or auto",
		param, detail)
}
