package openai

import (
	"errors"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

// ImageRequest is the body of POST /v1/images/generations, and the fields of the form of POST
// /v1/images/edits. The last ones are Eyelet's own.
type ImageRequest struct {
	Model        string        `json:"model"`
	Prompt       string        `json:"prompt"`
	Count        *fields.Whole `json:"n"`
	Size         string        `json:"size"`
	Response     string        `json:"response_format"`
	Format       string        `json:"output_format"`
	Background   string        `json:"background"`
	Stream       bool          `json:"stream"`
	PartialCount *fields.Whole `json:"partial_images"`

	Steps    *fields.Whole `json:"steps"`
	Seed     *int64        `json:"seed"`
	Negative string        `json:"negative_prompt"`
	Guidance *float64      `json:"guidance"`
	Strength *float64      `json:"strength"` // of edits alone
}

// Images is the answer to both.
type Images struct {
	Created int64   `json:"created"`
	Data    []Image `json:"data"`
	Size    string  `json:"size"`
	Format  string  `json:"output_format"`
}

// Image is a picture that was drawn.
type Image struct {
	B64  string `json:"b64_json"`
	Seed int64  `json:"seed"` // Eyelet's own
}

// Request returns what the child that draws is asked for; begin and mask are files, or nil.
func (q *ImageRequest) Request(begin, mask []byte) (*draw.Request, error) {
	r := &draw.Request{Prompt: q.Prompt, Negative: q.Negative, Seed: q.Seed, Guidance: q.Guidance,
		Init: begin, Mask: mask}
	switch {
	case strings.TrimSpace(q.Prompt) == "":
		return nil, failure.Wrong("prompt", "says what to draw; it is missing")
	case q.Response == "url":
		return nil, failure.Field("response_format",
			"the server keeps no pictures to give the address of; ask for b64_json")
	case q.Response != "" && q.Response != "b64_json":
		return nil, failure.Wrong("response_format", "is %.40q; give b64_json", q.Response)
	case q.Format != "" && q.Format != "png":
		return nil, failure.Wrong("output_format", "is %.40q; pictures are drawn as png", q.Format)
	case q.Background == "transparent":
		return nil, failure.Field("background",
			"models that draw here have no transparent background")
	case q.Stream || q.PartialCount != nil && *q.PartialCount > 0:
		return nil, failure.Field("stream",
			"pictures come whole; leave stream and partial_images out")
	case q.Count != nil && (*q.Count < 1 || *q.Count > draw.MaxCount):
		return nil, failure.Wrong("n", "is %d; give 1 to %d", *q.Count, draw.MaxCount)
	case q.Steps != nil && (*q.Steps < 1 || *q.Steps > draw.MaxSteps):
		return nil, failure.Wrong("steps", "is %d; give 1 to %d", *q.Steps, draw.MaxSteps)
	case q.Strength != nil && !(*q.Strength > 0 && *q.Strength <= 1):
		return nil, failure.Wrong("strength", "is %g; give more than 0, and at most 1", *q.Strength)
	}
	if q.Count != nil {
		r.Count = int(*q.Count)
	}
	if q.Steps != nil {
		r.Steps = int(*q.Steps)
	}
	if q.Strength != nil {
		r.Strength = *q.Strength
	}
	var err error
	if r.Width, r.Height, err = imageSize(q.Size); err != nil {
		return nil, err
	}
	return r, r.Check()
}

// imageSize reads a size as "1024x1024"; nothing and "auto" are what the model was trained with.
func imageSize(text string) (w, h int, err error) {
	if text == "" || text == "auto" {
		return 0, 0, nil
	}
	left, right, ok := strings.Cut(text, "x")
	w, errW := strconv.Atoi(left)
	h, errH := strconv.Atoi(right)
	switch {
	case ok && (errors.Is(errW, strconv.ErrRange) || errors.Is(errH, strconv.ErrRange)):
		return 0, 0, failure.Wrong("size", "is %.40q; sides go to %d", text, draw.MaxSide)
	case !ok || errW != nil || errH != nil || w < 1 || h < 1:
		return 0, 0, failure.Wrong("size",
			"is %.40q; give width and height in pixels as 512x512, or auto", text)
	}
	return w, h, nil
}

// Set sets a field of a form. Fields that are not known are passed over: clients send more than any
// server knows.
func (q *ImageRequest) Set(name, value string) error {
	integer := func(to **fields.Whole) error {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return failure.Wrong(name, "is %.40q; give a whole number", value)
		}
		x := fields.Whole(n)
		*to = &x
		return nil
	}
	number := func(to **float64) error {
		x, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return failure.Wrong(name, "is %.40q; give a number", value)
		}
		*to = &x
		return nil
	}
	texts := map[string]*string{"model": &q.Model, "prompt": &q.Prompt, "size": &q.Size,
		"response_format": &q.Response, "output_format": &q.Format, "background": &q.Background,
		"negative_prompt": &q.Negative}
	if to := texts[name]; to != nil {
		*to = value
		return nil
	}
	switch name {
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
			return failure.Field(name, "seed is %.40q; give a whole number", value)
		}
		q.Seed = &n
	}
	return nil
}
