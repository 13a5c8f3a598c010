package server

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"

	"github.com/eyelet-engine/eyelet/engine/draw"
)

// Bounds of a form beside its bytes.
const (
	maxFields     = 64
	maxFieldBytes = draw.MaxPrompt + 1
)

// openaiEditImages answers POST /v1/images/edits, whose body is a form with files.
func (s *Server) openaiEditImages(w http.ResponseWriter, r *http.Request) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return refuse("the body of an edit is a form (multipart/form-data) with the picture as the file \"image\"")
	}
	data, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	q, files, err := editForm(multipart.NewReader(bytes.NewReader(data), params["boundary"]),
		s.limits.ImageBytes)
	if err != nil {
		return err
	}
	var mask []byte
	if file := files["mask"]; file != nil {
		if mask, err = maskOf(file); err != nil {
			return err
		}
	}
	if files["image"] == nil {
		return refuseField("image", "image is missing: the picture to begin with")
	}
	recordOf(r.Context()).memory.turn() // few wait to draw, and for long
	return s.answerImages(w, r, q, files["image"], mask)
}

// editForm reads the fields and files of a form. Files are "image", or "image[]" with one picture,
// and "mask".
func editForm(form *multipart.Reader, limit int64) (*imageRequest, map[string][]byte, error) {
	q, files := &imageRequest{}, map[string][]byte{}
	for i := 0; ; i++ {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return q, files, nil
		}
		if err != nil || i >= maxFields {
			return nil, nil, refuse(
				"the form of the body cannot be read, or has more than %d fields", maxFields)
		}
		name := part.FormName()
		switch name {
		case "image", "image[]", "mask":
			if name == "image[]" {
				name = "image"
			}
			if files[name] != nil {
				return nil, nil, refuseField(name,
					"there are several of %s; models that draw here begin with one picture", name)
			}
			data, err := io.ReadAll(io.LimitReader(part, limit+1))
			if err != nil {
				return nil, nil, refuse("the form of the body ends early")
			}
			if int64(len(data)) > limit || len(data) == 0 {
				return nil, nil, refuseField(name, "%s has no bytes, or more than %d MiB", name,
					limit>>20)
			}
			files[name] = data
		default:
			value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
			if err != nil {
				return nil, nil, refuse("the form of the body ends early")
			}
			if len(value) > maxFieldBytes {
				return nil, nil, refuseField(name, "the field has more than %d bytes",
					draw.MaxPrompt)
			}
			if err := q.set(name, string(value)); err != nil {
				return nil, nil, err
			}
		}
	}
}

// set sets a field of a form. Fields that are not known are passed over: clients send more than any
// server knows.
func (q *imageRequest) set(name, value string) error {
	integer := func(to **whole) error {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return refuseField(name, "%s is %.40q; give a whole number", name, value)
		}
		x := whole(n)
		*to = &x
		return nil
	}
	number := func(to **float64) error {
		x, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return refuseField(name, "%s is %.40q; give a number", name, value)
		}
		*to = &x
		return nil
	}
	switch name {
	case "model":
		q.Model = value
	case "prompt":
		q.Prompt = value
	case "size":
		q.Size = value
	case "response_format":
		q.Response = value
	case "output_format":
		q.Format = value
	case "background":
		q.Background = value
	case "negative_prompt":
		q.Negative = value
	case "stream":
		q.Stream = value == "true" || value == "1"
	case "n":
		return integer(&q.Count)
	case "partial_images":
		return integer(&q.PartialCount)
	case "steps":
		return integer(&q.Steps)
	case "guidance":
		return number(&q.Guidance)
	case "strength":
		return number(&q.Strength)
	case "seed":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return refuseField(name, "seed is %.40q; give a whole number", value)
		}
		q.Seed = &n
	}
	return nil
}

// maskOf makes of OpenAI's mask, a PNG file that is transparent where the picture shall change, one
// that is white there and black elsewhere.
func maskOf(file []byte) ([]byte, error) {
	c, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, refuseField("mask", "the mask is no PNG file")
	}
	if c.Width > draw.MaxSide || c.Height > draw.MaxSide {
		return nil, refuseField("mask", "the mask has %d x %d pixels; give at most %d to a side",
			c.Width, c.Height, draw.MaxSide)
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, refuseField("mask", "the mask is a damaged PNG file")
	}
	out := image.NewGray(img.Bounds())
	for y := out.Rect.Min.Y; y < out.Rect.Max.Y; y++ {
		for x := out.Rect.Min.X; x < out.Rect.Max.X; x++ {
			_, _, _, alpha := img.At(x, y).RGBA()
			out.SetGray(x, y, color.Gray{Y: 255 - uint8(alpha>>8)})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, out); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return b.Bytes(), nil
}
