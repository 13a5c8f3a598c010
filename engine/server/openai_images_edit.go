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

	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
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
		return failure.Refuse(
			"the body of an edit is a form (multipart/form-data) with the picture as the file \"image\"")
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
		return failure.Wrong("image", "is missing: the picture to begin with")
	}
	recordOf(r.Context()).memory.turn() // few wait to draw, and for long
	return s.answerImages(w, r, q, files["image"], mask)
}

// editForm reads the fields and files of a form. Files are "image", or "image[]" with one picture,
// and "mask".
func editForm(form *multipart.Reader, limit int64) (*openai.ImageRequest, map[string][]byte,
	error) {
	q, files := &openai.ImageRequest{}, map[string][]byte{}
	for i := 0; ; i++ {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return q, files, nil
		}
		if err != nil || i >= maxFields {
			return nil, nil, failure.Refuse(
				"the form of the body cannot be read, or has more than %d fields", maxFields)
		}
		name := part.FormName()
		switch name {
		case "image", "image[]", "mask":
			if name == "image[]" {
				name = "image"
			}
			if files[name] != nil {
				return nil, nil, failure.Field(name,
					"there are several of %s; models that draw here begin with one picture", name)
			}
			data, err := io.ReadAll(io.LimitReader(part, limit+1))
			if err != nil {
				return nil, nil, failure.Refuse("the form of the body ends early")
			}
			if int64(len(data)) > limit || len(data) == 0 {
				return nil, nil, failure.Wrong(name, "has no bytes, or more than %d MiB", limit>>20)
			}
			files[name] = data
		default:
			value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
			if err != nil {
				return nil, nil, failure.Refuse("the form of the body ends early")
			}
			if len(value) > maxFieldBytes {
				return nil, nil, failure.Field(name, "the field has more than %d bytes",
					draw.MaxPrompt)
			}
			if err := q.Set(name, string(value)); err != nil {
				return nil, nil, err
			}
		}
	}
}

// maskOf makes of OpenAI's mask, a PNG file that is transparent where the picture shall change, one
// that is white there and black elsewhere.
func maskOf(file []byte) ([]byte, error) {
	c, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, failure.Field("mask", "the mask is no PNG file")
	}
	if c.Width > draw.MaxSide || c.Height > draw.MaxSide {
		return nil, failure.Field("mask", "the mask has %d x %d pixels; give at most %d to a side",
			c.Width, c.Height, draw.MaxSide)
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, failure.Field("mask", "the mask is a damaged PNG file")
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
