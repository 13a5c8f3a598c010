package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Preprocessing is the way of a photo from its file to the tiles. Cutting tiles into patches is
// part of the encoding.
type Preprocessing struct {
	Width     int `json:"width"`
	Height    int `json:"height"`
	FileBytes int `json:"file_bytes"` // as JPEG of quality 90
	Tiles     int `json:"tiles"`
	// to pixels, scaled down on the way where the tower allows it
	DecodeMS Spread `json:"decode_ms"`
	ResizeMS Spread `json:"resize_ms"` // padded and resampled
	FullMS   Spread `json:"full_ms"`   // both, when the file is decoded at full size
	ScaledW  int    `json:"scaled_w"`  // sides of the decoded picture
	ScaledH  int    `json:"scaled_h"`  //
	// of so many tiles by the fastest native contestant, from its time for the fewest tiles; 0
	// without one
	EncodeMS float64 `json:"encode_ms"`
	Share    float64 `json:"share"` // of decoding and resizing in all three
}

// preprocessing measures the way of a photo into the first contestant's tower.
func (r *visionRun) preprocessing(ctx context.Context) error {
	w, h := r.o.photo[0], r.o.photo[1]
	r.step(0, fmt.Sprintf("making a photo of %d x %d pixels", w, h))
	file, err := photoFile(w, h)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	r.step(1, "decoding and resizing it")
	tower := r.contestants[0].tower
	for _, c := range r.contestants {
		if c.backend != "mtmd" {
			tower = c.tower // libmtmd resizes by itself, when a job begins
			break
		}
	}
	p := Preprocessing{Width: w, Height: h, FileBytes: len(file)}
	var decode, resize, full []float64
	for range max(r.o.Rounds, 3) {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		img, err := imaging.DecodePicture(ctx, file, imaging.Options{Target: vision.Target(tower)})
		if err != nil {
			return err
		}
		decode = append(decode, milliseconds(time.Since(start)))
		start = time.Now()
		in, err := vision.PreprocessPicture(ctx, tower, img)
		if err != nil {
			return err
		}
		resize = append(resize, milliseconds(time.Since(start)))
		p.Tiles, p.ScaledW, p.ScaledH = len(in.Tiles), img.W, img.H

		start = time.Now()
		if img, err = imaging.DecodePicture(ctx, file, imaging.Options{}); err != nil {
			return err
		}
		if _, err = vision.PreprocessPicture(ctx, tower, img); err != nil {
			return err
		}
		full = append(full, milliseconds(time.Since(start)))
	}
	p.DecodeMS, p.ResizeMS, p.FullMS = spreadOf(decode), spreadOf(resize), spreadOf(full)
	for _, c := range r.report.Contestants {
		if c.Backend != "native" {
			continue
		}
		e := c.Encodes[0]
		if t := e.MS.Median / float64(e.Tiles) * float64(p.Tiles); p.EncodeMS == 0 ||
			t < p.EncodeMS {
			p.EncodeMS = t
		}
	}
	if p.EncodeMS > 0 {
		both := p.DecodeMS.Median + p.ResizeMS.Median
		p.Share = both / (both + p.EncodeMS)
	}
	r.report.Preprocessing = p
	r.step(2, "done")
	return nil
}
