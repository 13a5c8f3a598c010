package llama

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// Image is a picture for a prediction: a file, or a reader, which is read once.
type Image struct {
	Path   string
	Reader io.Reader // in the place of Path
}

// SetImages shows the model pictures, files in any of the common formats. The model needs
// SetMMProj. The text says where they stand by <image>, in order, or by [img-0], [img-1] and so on;
// those without a place come ahead of the text.
func SetImages(paths ...string) PredictOption {
	return func(p *PredictOptions) {
		p.Images = nil
		for _, path := range paths {
			p.Images = append(p.Images, Image{Path: path})
		}
	}
}

// SetImageReaders is SetImages with pictures that are read from somewhere. Each reader serves one
// prediction.
func SetImageReaders(readers ...io.Reader) PredictOption {
	return func(p *PredictOptions) {
		p.Images = nil
		for _, r := range readers {
			p.Images = append(p.Images, Image{Reader: r})
		}
	}
}

// show adds the pictures to a request.
func (po *PredictOptions) show(r *engine.Request) error {
	for i, image := range po.Images {
		var x *engine.Image
		var err error
		if image.Reader != nil {
			x, err = engine.ImageReader(fmt.Sprintf("picture %d", i+1), image.Reader)
		} else {
			x, err = engine.ImageFile(image.Path)
		}
		if err != nil {
			return err
		}
		r.Images = append(r.Images, x)
	}
	if len(r.Images) > 0 {
		r.Prompt = placeImages(r.Prompt, len(r.Images))
	}
	return nil
}

// placeImages writes the markers of the engine for LLaVA's, as many as there are pictures.
func placeImages(text string, n int) string {
	const marker = "<image>"
	for i := 0; i < n && strings.Contains(text, marker); i++ {
		text = strings.Replace(text, marker, "[img-"+strconv.Itoa(i)+"]", 1)
	}
	return text
}
